//! `wattle sample`: one service of the sample application that `wattle demo` runs.

use std::process::ExitCode;

use clap::Args;

/// Arguments of `wattle sample`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name of the service, and what it is told
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// Runs the service until it is told to end.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    anyhow::bail!("there is no sample service `{}`", arguments.words.join(" "))
}
