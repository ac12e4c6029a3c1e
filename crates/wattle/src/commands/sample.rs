//! `wattle sample`: one service of the sample application that `wattle demo` runs.

use std::process::ExitCode;

use clap::Args;
use wattle_demo::{Name, Settings, sample};

/// Arguments of `wattle sample`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name of the service
    name: Name,
}

/// Runs the service until it is told to end; its settings are in the environment.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let settings = Settings::read(arguments.name, |variable| std::env::var(variable).ok())?;
    sample::run(settings)?;
    Ok(ExitCode::SUCCESS)
}
