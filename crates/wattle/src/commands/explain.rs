//! stub
use std::process::ExitCode;
use clap::Args;
use crate::cli::Shared;
#[derive(Debug, Args)]
pub(crate) struct Arguments {}
pub(crate) fn run(_: &Arguments, _: &Shared) -> anyhow::Result<ExitCode> { anyhow::bail!("x") }
