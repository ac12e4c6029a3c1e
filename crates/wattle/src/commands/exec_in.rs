//! `wattle exec-in`: the last step before a workload or a proxy, see `wattle_capture::exec`.

use std::process::ExitCode;

use clap::Args;
use wattle_capture::SpawnSpec;

/// Arguments of `wattle exec-in`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What to execute and how, as JSON
    spec: String,
}

/// Becomes the program; returns only when that failed.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    Err(SpawnSpec::from_json(&arguments.spec)?.exec().into())
}
