//! Notes the commit the binary is built from; without git, or outside a checkout, it is empty.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rustc-env=WATTLE_COMMIT={}", commit().unwrap_or_default());
    for path in ["../../.git/HEAD", "../../.git/logs/HEAD"] {
        if Path::new(path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    println!("cargo:rerun-if-changed=build.rs");
}

fn commit() -> Option<String> {
    let output = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
