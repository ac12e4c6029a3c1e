//! `wattle diff`: what changes for whom between two directories of manifests.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use wattle_api::Severity;
use wattle_compile::Mesh;
use wattle_control::diff::diff;

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
    let mut before = load(&arguments.before)?;
    let mut after = load(&arguments.after)?;
    let bar = progress::spinner("asking both");
    let difference = diff(&mut before, &mut after, |asked, all| {
        bar.set_message(format!("asking both: {asked} of {all} questions"));
    });
    bar.finish_and_clear();
    output::show(shared.output, &difference, ToString::to_string)?;
    Ok(super::verdict(difference.is_empty()))
}

/// A mesh as its manifests say; what cannot be read is told on standard error and has no part in it.
fn load(directory: &Path) -> anyhow::Result<Mesh> {
    std::fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let (mesh, diagnostics) = wattle_control::offline::load(directory);
    let errors = diagnostics.iter().filter(|one| one.severity == Severity::Error);
    errors.for_each(|error| eprintln!("error: {error}"));
    Ok(mesh)
}
