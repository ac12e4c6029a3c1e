//! `wattle diff`: what changes for whom between two directories of manifests.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use wattle_compile::Settings;
use wattle_control::diff::diff;

use super::offline::load;
use crate::cli::Shared;
use crate::output;
use crate::view::progress;

/// Arguments of `wattle diff`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code 0 if no request is answered differently, 1 if some are.")]
pub(crate) struct Arguments {
    /// Directory of manifests as they are
    before: PathBuf,
    /// Directory of manifests as they are to be
    after: PathBuf,
}

/// Compares, and prints what differs.
pub(crate) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let (mut before, _) = load(&arguments.before, Settings::default())?;
    let (mut after, _) = load(&arguments.after, Settings::default())?;
    let bar = progress::spinner("asking both");
    let difference = diff(&mut before, &mut after, |asked, all| {
        bar.set_message(format!("asking both: {asked} of {all} questions"));
    });
    bar.finish_and_clear();
    output::show(shared.output, &difference, ToString::to_string)?;
    Ok(super::verdict(difference.is_empty()))
}
