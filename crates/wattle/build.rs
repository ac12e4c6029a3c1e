//! Notes the commit the binary is built from; without git, or outside a checkout, it is empty.

use std::path::Path;
use std::process::Command;

fn main() {
    let commit = git(&["--short=12", "HEAD"]).unwrap_or_default();
    println!("cargo:rustc-env=WATTLE_COMMIT={commit}");
    // Of a linked worktree they are elsewhere.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["--git-path", file]).filter(|path| Path::new(path).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    println!("cargo:rerun-if-changed=build.rs");
}

fn git(asked: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("rev-parse").args(asked).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
