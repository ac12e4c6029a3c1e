//! Notes the commit the binary is built from; without git, or outside a checkout, it is empty. What is distributed is laid
//! out so that a proxy touches little of it.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rustc-env=WATTLE_COMMIT={}", commit().unwrap_or_default());
    for path in ["../../.git/HEAD", "../../.git/logs/HEAD"] {
        if Path::new(path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    lay_out();
    println!("cargo:rerun-if-changed=build.rs");
}

/// Only the profile `dist` builds this crate for size, and only Linux's usual linkers read the script.
fn lay_out() {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let linux = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    let Ok(folder) = env::var("CARGO_MANIFEST_DIR") else {
        return;
    };
    if linux && is("OPT_LEVEL", "s") {
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{folder}/rare.ld");
    }
    println!("cargo:rerun-if-changed=rare.ld");
}

fn commit() -> Option<String> {
    let output = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
