//! What is taken from registries is pinned by its content: a file that was exchanged there is not the one that is asked for.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Violation;

const LOCKS: [&str; 2] = ["Cargo.lock", "fuzz/Cargo.lock"];
const REQUIREMENTS: [&str; 2] = ["scripts/requirements-test.txt", "scripts/requirements-bench.txt"];
/// Where crates come from, and nowhere else.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Looks at each crate that is locked and at each Python library.
pub(super) fn check(root: &Path) -> Result<Vec<Violation>> {
    let read = |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("reading {path}"));
    let mut violations = Vec::new();
    for path in LOCKS {
        violations.extend(crates(path, &read(path)?));
    }
    for path in REQUIREMENTS {
        violations.extend(libraries(path, &read(path)?));
    }
    Ok(violations)
}

/// Crates of the workspace have no source.
fn crates(path: &str, lock: &str) -> Vec<Violation> {
    let packages = lock.split("[[package]]\n").skip(1);
    let of = |package: &str, key: &str| {
        let mut lines = package.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        value.map(|value| value.trim_matches('"').to_owned())
    };
    let wrong = packages.filter_map(|package| {
        let (name, source) = (of(package, "name")?, of(package, "source")?);
        match (source == REGISTRY, of(package, "checksum")) {
            (true, Some(_)) => None,
            (true, None) => Some(format!("{name} has no checksum")),
            (false, _) => Some(format!("{name} comes from {source}, not from {REGISTRY}")),
        }
    });
    wrong.map(|reason| Violation::file(path, reason)).collect()
}

/// A version and below it a hash of each file that it may be.
fn libraries(path: &str, requirements: &str) -> Vec<Violation> {
    let lines: Vec<&str> = requirements.lines().map(str::trim).collect();
    let is_hash = |line: &&str| line.starts_with("--hash=sha256:");
    let wrong = (1..).zip(&lines).filter_map(|(number, line)| {
        if line.is_empty() || line.starts_with('#') || is_hash(line) {
            return None;
        }
        let hashed = line.ends_with('\\') && lines.get(number).is_some_and(is_hash);
        let reason = match (line.contains("=="), hashed) {
            (true, true) => return None,
            (true, false) => "has no hash",
            (false, _) => "has no version",
        };
        Some(Violation::at(path, number, format!("{line} {reason}")))
    });
    wrong.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(found: Vec<Violation>) -> Vec<String> {
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_crate_without_a_checksum_or_from_elsewhere_is_found() {
        let lock = format!(
            "version = 4\n\n[[package]]\nname = \"own\"\nversion = \"1.0.0\"\n\n\
             [[package]]\nname = \"good\"\nversion = \"1.0.0\"\nsource = \"{REGISTRY}\"\nchecksum = \"00\"\n\n\
             [[package]]\nname = \"bare\"\nversion = \"1.0.0\"\nsource = \"{REGISTRY}\"\n\n\
             [[package]]\nname = \"far\"\nversion = \"1.0.0\"\nsource = \"git+https://example.com/far\"\n"
        );
        let far = format!("Cargo.lock: far comes from git+https://example.com/far, not from {REGISTRY}");
        let expected = ["Cargo.lock: bare has no checksum".to_owned(), far];
        assert_eq!(reasons(crates("Cargo.lock", &lock)), expected);
    }

    #[test]
    fn a_python_library_without_a_hash_is_found() {
        let good = "# why\ngood==1.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\n";
        assert_eq!(reasons(libraries("r.txt", good)), [""; 0]);
        let bad = format!("{good}bare==2.0\nopen>=3\n");
        let expected = [
            "r.txt:5: bare==2.0 has no hash",
            "r.txt:6: open>=3 has no version",
        ];
        assert_eq!(reasons(libraries("r.txt", &bad)), expected);
    }
}
