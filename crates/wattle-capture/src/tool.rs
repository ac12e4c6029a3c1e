//! The two command-line tools this crate leans on, `ip` and `nft`: finding and running them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Where system tools live that an ordinary user's `PATH` often leaves out.
const SYSTEM_DIRECTORIES: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// Longest part of a tool's complaint that an error repeats, in bytes.
const MESSAGE_LIMIT: usize = 2048;

/// Why a tool did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// Neither `PATH` nor the system directories hold it.
    #[error("cannot find the program {tool}, looked in PATH, /usr/sbin, /sbin and /usr/local/sbin")]
    Missing {
        /// The program's name.
        tool: &'static str,
    },
    /// It could not be started or spoken to.
    #[error("cannot run {tool}")]
    Run {
        /// The program's name.
        tool: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It ended with a failure.
    #[error("{tool} {arguments}: {message}")]
    Refused {
        /// The program's name.
        tool: &'static str,
        /// The arguments it was given.
        arguments: String,
        /// What it complained about, at most 2 KiB.
        message: String,
    },
}

/// Finds a program in `PATH` or the system directories.
pub fn find(tool: &'static str) -> Result<PathBuf, ToolError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_DIRECTORIES.map(PathBuf::from))
        .map(|directory| directory.join(tool))
        .find(|candidate| is_executable(candidate))
        .ok_or(ToolError::Missing { tool })
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Runs `ip` with one line of arguments in the calling thread's network namespace.
pub(crate) fn ip(arguments: &str) -> Result<(), ToolError> {
    run("ip", arguments, "", Stdio::null())
}

/// Runs several `ip` lines in order and stops at the first that fails.
pub(crate) fn ip_batch(lines: &str) -> Result<(), ToolError> {
    run("ip", "-batch -", lines, Stdio::piped())
}

/// Runs one `ip` line with `stdin` at hand, so that it may name it as `/proc/self/fd/0`.
pub(crate) fn ip_with_stdin(arguments: &str, stdin: Stdio) -> Result<(), ToolError> {
    run("ip", arguments, "", stdin)
}

/// Loads a ruleset atomically into the calling thread's network namespace.
pub(crate) fn nft(ruleset: &str) -> Result<(), ToolError> {
    run("nft", "-f -", ruleset, Stdio::piped())
}

fn run(tool: &'static str, arguments: &str, input: &str, stdin: Stdio) -> Result<(), ToolError> {
    let program = find(tool)?;
    let output = feed(&program, arguments, input, stdin).map_err(|source| ToolError::Run { tool, source })?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = &output.stderr[..output.stderr.len().min(MESSAGE_LIMIT)];
    Err(ToolError::Refused {
        tool,
        arguments: arguments.to_owned(),
        message: String::from_utf8_lossy(complaint).trim().replace('\n', "; "),
    })
}

fn feed(program: &Path, arguments: &str, input: &str, stdin: Stdio) -> io::Result<Output> {
    let mut child = Command::new(program)
        .args(arguments.split_whitespace())
        .stdin(stdin)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let pipe = child.stdin.take();
    // Written from another thread: a tool that complains at length must not wait for us while we wait for it.
    std::thread::scope(|scope| {
        scope.spawn(move || pipe.map(|mut pipe| pipe.write_all(input.as_bytes())));
        child.wait_with_output()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error = find("wattle-no-such-program").unwrap_err();
        assert!(error.to_string().contains("wattle-no-such-program"));
    }

    #[test]
    fn a_shell_is_found() {
        assert!(find("sh").unwrap().is_absolute());
    }
}
