//! A multiplexed connection from its first byte to its end, and the policy's bounds on its life.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;
use wattle_balance::{Permit, Shared};
use wattle_http::h2;
use wattle_model::Reason;
use wattle_net::Stream;

use super::ConnectFailure;
use crate::worker::{Bounds, Worker};

/// Opens HTTP/2 on a stream and drives it; `counted` is held while the connection is open.
pub(super) async fn open(
    worker: &Worker,
    bounds: &Rc<Bounds>,
    pool: &Shared<h2::Client>,
    (stream, counted): (Stream, Option<Permit>),
) -> Result<h2::Client, ConnectFailure> {
    let (client, driver) = h2::connect(stream, &worker.limits).await.map_err(|error| {
        ConnectFailure::new(Reason::UpstreamConnectFailure, "http2_failed", error.to_string())
    })?;
    let waiting = pool.downgrade();
    client.on_freed(Rc::new(move || waiting.stream_ended()));
    if let Some(limits) = Limits::of(bounds) {
        tokio::task::spawn_local(retire(limits, pool.clone(), client.clone()));
    }
    let bounds = bounds.clone();
    tokio::task::spawn_local(async move {
        if let Err(error) = driver.await {
            tracing::debug!(%error, "http/2 connection ended");
        }
        drop(counted);
        bounds.free();
    });
    Ok(client)
}

/// How long a connection may live, and be idle, by the policy of the time when it was opened.
#[derive(Clone, Copy)]
struct Limits {
    life: Duration,
    idle: Duration,
}

/// Where only one of the limits is said.
const LONG: Duration = Duration::from_secs(365 * 24 * 3600);

impl Limits {
    fn of(bounds: &Bounds) -> Option<Self> {
        let limits = &bounds.policy().limits;
        (limits.connection_life.is_some() || limits.http_idle.is_some()).then(|| Self {
            life: limits.connection_life.unwrap_or(LONG),
            idle: limits.http_idle.unwrap_or(LONG),
        })
    }
}

/// How often a connection's use is looked at: one that left its pool otherwise is let go of after so long.
const LOOK: Duration = Duration::from_secs(5);

/// Takes a connection out of its pool when its life is over or it was idle for long; what is under way on it goes on.
async fn retire(limits: Limits, pool: Shared<h2::Client>, client: h2::Client) {
    let opened = Instant::now();
    let mut used = (client.requests(), opened);
    loop {
        tokio::time::sleep(LOOK.min(limits.idle).min(limits.life)).await;
        let now = Instant::now();
        if client.active_streams() > 0 || client.requests() != used.0 {
            used = (client.requests(), now);
        }
        let over = now - opened >= limits.life || now - used.1 >= limits.idle;
        let mut is_kept = false;
        drop(pool.take(|kept| {
            let same = kept.is_same(&client);
            is_kept |= same;
            same && over
        }));
        if over || !is_kept {
            return;
        }
    }
}
