//! One file per command: its arguments, and what it does with them.

pub(crate) mod agent;
pub(crate) mod analyze;
pub(crate) mod certs;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod control;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod exec_in;
pub(crate) mod explain;
pub(crate) mod get;
pub(crate) mod manifests;
pub(crate) mod member;
pub(crate) mod offline;
pub(crate) mod policy;
pub(crate) mod proxy;
pub(crate) mod recorded;
pub(crate) mod repair;
pub(crate) mod rotate;
pub(crate) mod sample;
pub(crate) mod stat;
pub(crate) mod supervise;
pub(crate) mod token;
pub(crate) mod up;
pub(crate) mod version;
pub(crate) mod why;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use crate::cli::{Cli, Command, Shared};
use crate::failure::FAILED;
use crate::logging;

/// Runs a command to its end.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { shared, command } = cli;
    // Nothing may have started a thread before this one, which becomes another program.
    if let Command::ExecIn(arguments) = command {
        return exec_in::run(&arguments);
    }
    let set_level = logging::start(shared.log_format, default_level(&command));
    match command {
        Command::Demo(arguments) => demo::run(&arguments, &shared),
        Command::Up(arguments) => up::run(&arguments, &shared),
        Command::Stat(arguments) => stat::run(&arguments, &shared),
        Command::Explain(arguments) => explain::run(&arguments, &shared),
        Command::Why(arguments) => why::run(&arguments, &shared),
        Command::Policy(arguments) => policy::run(&arguments, &shared),
        Command::Analyze(arguments) => analyze::run(&arguments, &shared),
        Command::Diff(arguments) => diff::run(&arguments, &shared),
        Command::Get(arguments) => get::run(&arguments, &shared),
        Command::Certs(arguments) => certs::run(&arguments, &shared),
        Command::Rotate(arguments) => rotate::run(&arguments, &shared),
        Command::Repair(arguments) => repair::run(&arguments, &shared),
        Command::Token(arguments) => token::run(&arguments, &shared),
        Command::Check(arguments) => check::run(&arguments, &shared),
        Command::Control(arguments) => control::run(*arguments),
        Command::Proxy(arguments) => proxy::run(*arguments, set_level),
        Command::Agent(arguments) => agent::run(*arguments),
        Command::Version => version::run(&shared),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Supervise(arguments) => supervise::run(&arguments),
        Command::ExecIn(arguments) => exec_in::run(&arguments),
        Command::Sample(arguments) => sample::run(&arguments),
    }
}

/// Roles tell what they do; commands only what is wrong.
fn default_level(command: &Command) -> &'static str {
    match command {
        Command::Control(_) | Command::Proxy(_) | Command::Agent(_) | Command::Sample(_) => "info",
        _ => "warn",
    }
}

/// The exit code of a command whose answer is yes or no.
fn verdict(well: bool) -> ExitCode {
    if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}

/// Runs a future to its end on this thread.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop")?;
    runtime.block_on(work)
}

/// The mesh that `--mesh` names, or the only one that runs.
fn mesh(shared: &Shared) -> anyhow::Result<crate::mesh::Place> {
    crate::mesh::find(shared.mesh.as_deref())
}

/// Reads a duration as people write it, such as `500ms`, `20s`, `1m30s` or `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a duration such as 500ms, 20s or 1m30s, found `{text}`");
    let span: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(span).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, expected) in [
            ("500ms", 500),
            ("20s", 20_000),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(expected)), "{text}");
        }
        for text in ["", "20", "-3s", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
