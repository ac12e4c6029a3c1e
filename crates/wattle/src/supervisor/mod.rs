//! The supervisor of a local mesh: control plane, and for each process its network, proxy and application.
//!
//! It runs inside the mesh's namespaces on one thread, so that what it knows needs no lock; work that blocks goes
//! to threads beside it. One loop takes in everything that happens ([`Event`](crew::Event)), asks the pure
//! [`plan`](mod@plan) what to do, and does it.
//!
//! Start reading at [`run`], then `crew.rs`, then `instance/life.rs`.

pub(crate) mod api;
pub(crate) mod assignment;
mod backoff;
mod child;
mod control;
mod crew;
mod entry;
mod instance;
mod names;
mod plan;
mod pump;
mod scrape;
mod screen;
pub(crate) mod status;
mod wanted;
mod world;

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::task::LocalSet;

use assignment::Assignment;
use screen::Screen;
use world::World;

/// Threads for work that blocks, at most.
const MAX_BLOCKING_THREADS: usize = 8;

/// What files of the mesh may allow to others: private ones say so themselves.
const FILE_MASK: u32 = 0o022;

/// Runs a mesh to its end, inside its namespaces.
pub(crate) fn run(assignment: Assignment) -> anyhow::Result<ExitCode> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(FILE_MASK));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .build()
        .context("cannot start the event loop")?;
    LocalSet::new().block_on(&runtime, supervise(assignment))
}

async fn supervise(assignment: Assignment) -> anyhow::Result<ExitCode> {
    let screen = Screen::start(assignment.screen).context("cannot start writing to the terminal")?;
    let outcome = match World::create(assignment, screen.clone()) {
        Ok(world) => crew::run(world).await,
        Err(error) => Err(error),
    };
    screen.flush();
    outcome
}
