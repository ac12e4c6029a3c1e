//! What all proxies have counted, gathered in parallel.

use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use wattle_proxy::Settings;
use wattle_telemetry::{Refusal, Snapshot};

use crate::mesh::{ask, port};

use super::world::World;

/// Longest wait for one proxy.
const PATIENCE: Duration = Duration::from_secs(2);

/// Proxies asked at a time.
const PARALLEL: usize = 32;

/// What one proxy has counted.
pub(crate) async fn snapshot(address: SocketAddr) -> anyhow::Result<Snapshot> {
    let (status, body) = ask::tcp(address, "/stats", PATIENCE).await?;
    anyhow::ensure!(status.is_success(), "{address}/stats was answered with {status}");
    Ok(serde_json::from_slice(&body)?)
}

/// What all proxies have counted, those that are gone included. One that does not answer is left out and logged.
pub(crate) async fn all(world: &Rc<World>) -> Snapshot {
    let addresses = proxies(world);
    let snapshots = stream::iter(addresses).map(|address| async move {
        snapshot(address)
            .await
            .inspect_err(|error| tracing::debug!(%error, %address, "a proxy's counts are missing"))
            .ok()
    });
    let mut all = world.retired.borrow().clone();
    let mut snapshots = std::pin::pin!(snapshots.buffer_unordered(PARALLEL));
    while let Some(one) = snapshots.next().await {
        if let Some(one) = one {
            all.merge(&one);
        }
    }
    all
}

/// What all proxies refused last. One that does not answer is left out and logged.
pub(crate) async fn refusals(world: &Rc<World>) -> Vec<Refusal> {
    let answers = stream::iter(sockets(world)).map(|socket| async move {
        refused(&socket)
            .await
            .inspect_err(
                |error| tracing::debug!(%error, socket = %socket.display(), "a proxy's refusals are missing"),
            )
            .unwrap_or_default()
    });
    answers.buffer_unordered(PARALLEL).concat().await
}

/// Where the running proxies answer.
fn sockets(world: &World) -> Vec<PathBuf> {
    let board = world.board.all();
    let running = board
        .values()
        .filter(|status| status.proxy.as_ref().is_some_and(|proxy| proxy.pid.is_some()));
    let state = |status: &super::status::Status| world.place.proxies().join(status.name().stem());
    running
        .map(|status| state(status).join(Settings::ADMIN_SOCKET))
        .collect()
}

/// What one proxy refused last. The directory is opened first: the socket's own path may be longer than the kernel takes.
async fn refused(socket: &Path) -> anyhow::Result<Vec<Refusal>> {
    let (directory, name) = (
        socket.parent().unwrap_or(socket),
        socket.file_name().unwrap_or_default(),
    );
    let opened = std::fs::File::open(directory)?;
    let short = Path::new("/proc/self/fd")
        .join(opened.as_raw_fd().to_string())
        .join(name);
    ask::get(&short, "/refusals").await
}

fn proxies(world: &World) -> Vec<SocketAddr> {
    let board = world.board.all();
    let running = board
        .values()
        .filter(|status| status.proxy.as_ref().is_some_and(|proxy| proxy.pid.is_some()));
    running
        .filter_map(|status| Some(SocketAddr::new(status.address?, port::STATUS)))
        .collect()
}
