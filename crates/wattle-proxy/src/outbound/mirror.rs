//! Mirrors: copies of a request that are sent elsewhere, their answers dropped.
//!
//! A copy never delays or fails the original: it goes to one endpoint, once, and what falls behind is cut off.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use http::Version;
use wattle_http::{Body, BodyError, Frame, Request, Sender, Watch};
use wattle_model::{RouteDecision, host_of};
use wattle_telemetry::{Counter, Family, Kind, Labels};

use crate::phases::connect::{self, Wanted};
use crate::phases::{exchange, pick};
use crate::worker::{Service, SharedCluster, Worker};

/// Copies of one worker that are under way; beyond them none is made.
const MAX_UNDER_WAY: usize = 1_024;
/// Frames of a body that a copy may be behind, each at most 16 KiB or one frame of HTTP/2.
const MAX_BEHIND: usize = 64;
/// Longest life of a copy.
const LONGEST: Duration = Duration::from_secs(60);

static MIRRORED: Family = Family {
    name: "wattle_mirrored_requests_total",
    help: "Copies of requests that routes asked for: sent and answered, failed, or dropped because too many were under way.",
    kind: Kind::Counter,
    hides_idle: false,
};

/// Counts the copies of one worker.
pub(crate) struct Mirrors {
    under_way: Cell<usize>,
    answered: Counter,
    failed: Counter,
    dropped: Counter,
}

impl Mirrors {
    /// With series of their own.
    pub(crate) fn new(shard: &wattle_telemetry::Shard) -> Self {
        let series = |result: &str| shard.counter(&MIRRORED, &Labels::new(&[("result", result)]));
        Self {
            under_way: Cell::new(0),
            answered: series("answered"),
            failed: series("failed"),
            dropped: series("dropped"),
        }
    }
}

/// Sends the copies that a decision asks for. `random` is the number that the decision was made with.
pub(super) fn send(
    worker: &Rc<Worker>,
    service: &Service,
    decision: &RouteDecision<'_>,
    random: u64,
    request: &mut Request,
) {
    if request.head.asks_for_tunnel() {
        return;
    }
    for mirror in decision.mirrors(random) {
        let Some(cluster) = mirror.backend.and_then(|index| service.cluster(index)) else {
            continue;
        };
        if worker.mirrors.under_way.get() >= MAX_UNDER_WAY {
            worker.mirrors.dropped.add(1);
            continue;
        }
        let copy = copied(request);
        tokio::task::spawn_local(deliver(worker.clone(), cluster.clone(), copy));
    }
}

/// A copy of a request, whose body follows the original's.
fn copied(request: &mut Request) -> Request {
    let mut head = request.head.clone();
    let authority = request.head.authority.as_str();
    let host = host_of(authority);
    // Whoever reads it can tell it from the original (Envoy, Istio).
    head.authority = format!("{host}-shadow{}", &authority[host.len()..]).into();
    let body = request
        .body
        .try_clone()
        .unwrap_or_else(|| follow(&mut request.body));
    Request::new(head, body)
}

/// A body that gets every frame of `original` when that passes.
fn follow(original: &mut Body) -> Body {
    let (sender, body) = Body::channel(MAX_BEHIND);
    let follower = Box::new(Follower(Some(sender)));
    *original = std::mem::take(original).watched(follower);
    body
}

/// Feeds a copy's body; gone once the copy fell behind.
struct Follower(Option<Sender>);

impl Watch for Follower {
    fn frame(&mut self, frame: &Frame) {
        if let Some(sender) = &self.0
            && sender.try_send(frame.clone()).is_err()
        {
            self.0 = None;
        }
    }

    fn end(&mut self, error: Option<&BodyError>) {
        if let (None, Some(sender)) = (error, self.0.take()) {
            sender.finish();
        }
    }
}

async fn deliver(worker: Rc<Worker>, cluster: SharedCluster, copy: Request) {
    worker.mirrors.under_way.set(worker.mirrors.under_way.get() + 1);
    let delivered = tokio::time::timeout(LONGEST, once(&worker, &cluster, copy)).await;
    worker.mirrors.under_way.set(worker.mirrors.under_way.get() - 1);
    match delivered {
        Ok(Some(())) => worker.mirrors.answered.add(1),
        Ok(None) | Err(_) => worker.mirrors.failed.add(1),
    }
}

/// Sends it to one endpoint and reads the answer to its end; nothing when that fails.
async fn once(worker: &Rc<Worker>, cluster: &SharedCluster, copy: Request) -> Option<()> {
    let picked = pick::pick(worker, cluster, None, &[]).ok()?;
    let wanted = match copy.head.version >= Version::HTTP_2 {
        true => Wanted::Http2,
        false => Wanted::Http1,
    };
    let connection = connect::http(worker, picked.member().payload(), wanted)
        .await
        .ok()?;
    let mut answer = exchange::exchange(connection, copy).await.ok()?.response;
    while let Some(frame) = answer.body.next().await {
        frame.ok()?;
    }
    Some(())
}
