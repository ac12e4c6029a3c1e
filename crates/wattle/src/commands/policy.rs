//! `wattle policy`: what policies let in, for all requests there could be and for those that there were.

mod check;
mod generate;
mod prove;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::Shared;

/// Arguments of `wattle policy`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// Prove that nothing of some callers reaches a workload, or show what does
    Prove(prove::Arguments),
    /// Say which recorded decisions other manifests would make otherwise
    Check(check::Arguments),
    /// Propose policies that let in what was seen and nothing else
    Generate(generate::Arguments),
}

/// Answers the question.
pub(crate) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    match &arguments.question {
        Question::Prove(arguments) => prove::run(arguments, shared),
        Question::Check(arguments) => check::run(arguments, shared),
        Question::Generate(arguments) => generate::run(arguments, shared),
    }
}
