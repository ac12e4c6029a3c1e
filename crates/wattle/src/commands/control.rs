//! stub
use std::process::ExitCode;
use clap::Args;
#[derive(Debug, Args)]
pub(crate) struct Arguments {}
pub(crate) fn run(_: Arguments) -> anyhow::Result<ExitCode> { anyhow::bail!("x") }
