//! `wattle demo`: the sample application in a mesh of its own, with load, a canary and a denied edge.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::cli::Shared;
use crate::failure::Failure;

/// Arguments of `wattle demo`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// End by itself after this long; default: when interrupted
    #[arg(long = "for", value_name = "DURATION", value_parser = super::duration)]
    run_for: Option<Duration>,
}

/// Runs the demo to its end.
pub(crate) fn run(arguments: &Arguments, _shared: &Shared) -> anyhow::Result<ExitCode> {
    let _ = arguments.run_for;
    Err(Failure::new("this build has no sample application", "run `wattle up examples/redis`"))
}
