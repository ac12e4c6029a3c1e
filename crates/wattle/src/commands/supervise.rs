//! `wattle supervise`: the inside of `wattle up`.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::supervisor;

/// Arguments of `wattle supervise`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What to run and how, as JSON
    assignment: String,
}

/// Supervises until the mesh ends.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let assignment = serde_json::from_str(&arguments.assignment).context("cannot read the assignment")?;
    supervisor::run(assignment)
}
