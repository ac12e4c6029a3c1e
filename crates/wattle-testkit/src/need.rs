//! What a test needs of the machine; without it the test is skipped and says so, or fails where nothing may be skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Set to 1 where a skipped test is a failed one.
const STRICT: &str = "WATTLE_TEST_STRICT";
/// Directories of servers, which an ordinary user's PATH may lack.
const MORE_PLACES: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// One thing a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To run as root: to enter namespaces and read what others keep.
    Root,
    /// A program by this name.
    Program(&'static str),
    /// PostgreSQL's server, which hides below a directory of its version.
    Postgres,
    /// The Python of the tests with this module.
    Python(&'static str),
    /// Envoy, in ENVOY_BIN or on the PATH.
    Envoy,
    /// What only some kernels have, and whether this one has.
    Kernel(&'static str, bool),
}

/// Whether something is missing, after saying what; panics instead where nothing may be skipped.
#[must_use]
pub fn lacks(needs: &[Need]) -> bool {
    let Some(missing) = needs.iter().find(|need| !need.is_met()) else {
        return false;
    };
    let sentence = format!("skipped: needs {}", missing.text());
    assert!(std::env::var(STRICT).as_deref() != Ok("1"), "{sentence}");
    eprintln!("{sentence}");
    true
}

impl Need {
    fn is_met(self) -> bool {
        match self {
            Self::Root => rustix::process::geteuid().is_root(),
            Self::Program(name) => find_program(name).is_some(),
            Self::Postgres => postgres().is_some(),
            Self::Envoy => find_envoy().is_some(),
            Self::Kernel(_, has) => has,
            Self::Python(module) => {
                let python = std::env::var_os("WATTLE_PYTHON").unwrap_or_else(|| "python3".into());
                let found = Command::new(python)
                    .args(["-c", &format!("import {module}")])
                    .output();
                found.is_ok_and(|output| output.status.success())
            }
        }
    }

    fn text(self) -> String {
        match self {
            Self::Root => "root".to_owned(),
            Self::Program(name) => name.to_owned(),
            Self::Postgres => "postgres".to_owned(),
            Self::Kernel(what, _) => format!("a kernel with {what}"),
            Self::Envoy => "envoy (in ENVOY_BIN)".to_owned(),
            Self::Python(module) => format!("Python with {module} (in WATTLE_PYTHON)"),
        }
    }
}

/// The path of a program.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(MORE_PLACES.iter().map(PathBuf::from));
    places
        .map(|place| place.join(name))
        .find(|candidate| candidate.is_file())
}

/// The path of Envoy: ENVOY_BIN, else on the PATH.
#[must_use]
pub fn find_envoy() -> Option<PathBuf> {
    match std::env::var_os("ENVOY_BIN") {
        Some(path) => Some(PathBuf::from(path)).filter(|path| path.is_file()),
        None => find_program("envoy"),
    }
}

fn postgres() -> Option<PathBuf> {
    let versions = std::fs::read_dir(Path::new("/usr/lib/postgresql")).ok()?;
    versions
        .flatten()
        .map(|version| version.path().join("bin/postgres"))
        .find(|candidate| candidate.is_file())
}
