//! The outer process: isolates this binary again as supervisor, as root or as a user who is nobody.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio, exit};

use tempfile::TempDir;
use wattle_capture::isolation::{Isolation, IsolationError, Step};
use wattle_capture::tool;

/// Exit code of an outer process that was not allowed to isolate.
const NOT_ALLOWED: i32 = 77;

/// Exit code of a scenario that needs a newer kernel.
pub(crate) const CANNOT: i32 = 78;

/// A user without rights.
const NOBODY: u32 = 65534;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    Root,
    Nobody,
}

impl fmt::Display for Who {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if *self == Self::Root { "root" } else { "rootless" })
    }
}

pub(crate) enum Outcome {
    Shown,
    Skipped(&'static str),
}

impl Who {
    pub(crate) fn what_is_missing(self) -> Option<&'static str> {
        let is_root = Isolation::detect().unwrap() == Isolation::Root;
        if self == Self::Root && !is_root {
            return Some("root");
        }
        ["ip", "nft"].into_iter().find(|tool| tool::find(tool).is_err())
    }

    /// This binary as the outer process of `role`; the directory holds a copy nobody may read otherwise.
    pub(crate) fn command(self, role: &str) -> (Command, TempDir) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let binary = directory.path().join("wattle");
        let own = std::env::current_exe().unwrap();
        if std::fs::hard_link(&own, &binary).is_err() {
            std::fs::copy(&own, &binary).unwrap();
        }
        let mut command = Command::new(&binary);
        command
            .args(["outer", role])
            .env("TMPDIR", directory.path())
            .current_dir("/");
        if self == Self::Nobody && Isolation::detect().unwrap() == Isolation::Root {
            command.uid(NOBODY).gid(NOBODY);
        }
        (command, directory)
    }
}

/// Runs a scenario in the supervisor's place and expects it to end well.
pub(crate) fn show_inside(who: Who, name: &str) -> Outcome {
    let (mut command, _directory) = who.command(name);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut complaint = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut complaint)
        .unwrap();
    match child.wait().unwrap().code() {
        Some(0) => Outcome::Shown,
        Some(NOT_ALLOWED) => Outcome::Skipped("namespaces, which this kernel refuses"),
        Some(CANNOT) => Outcome::Skipped("Landlock that scopes signals, of Linux 6.12"),
        code => panic!("{who} {name}: exit code {code:?}\n{complaint}"),
    }
}

pub(crate) fn main(arguments: &[&str]) {
    let role = arguments.first().expect("a role");
    let command = match *role {
        "missing" => Command::new("/nonexistent/program"),
        role => own_binary(role),
    };
    let isolation = Isolation::detect().unwrap();
    match isolation.run(command) {
        Ok(status) => exit(status.code().unwrap_or(1)),
        Err(IsolationError::Step {
            step: Step::Unshare,
            source,
            ..
        }) => {
            eprintln!("{source}");
            exit(NOT_ALLOWED)
        }
        Err(error) => {
            eprintln!("{error}");
            exit(1)
        }
    }
}

fn own_binary(role: &str) -> Command {
    let mut command = Command::new(Path::new("/proc/self/exe"));
    command.args(["inside", role]);
    command
}
