//! The one binary: commands as text and JSON views over the libraries below, and the supervisor of `wattle up`.
//!
//! **Owns** the command line (`cli`, one file per command in `commands/`), how results and failures are printed
//! (`output`, `failure`), where a running mesh is found on this machine (`mesh/`), and the supervisor that runs a mesh of
//! plain processes (`supervisor/`).
//!
//! **Refuses to know** how a request is routed, what a policy means, how a certificate is made: it asks the crates that do.
//!
//! **Start reading** at `cli.rs`, then one file in `commands/`; for `wattle up` at `commands/up.rs`, then
//! `supervisor/mod.rs`, then `supervisor/plan.rs`, which decides what to start and stop.

mod cli;
mod commands;
mod failure;
mod logging;
mod mesh;
mod output;
mod supervisor;
mod view;

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let format = cli.shared.output;
    commands::run(cli).unwrap_or_else(|error| failure::report(&error, format))
}
