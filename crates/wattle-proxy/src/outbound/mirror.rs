//! Mirrors: copies of a request that are sent elsewhere, their answers dropped.
//!
//! A copy never delays or fails the original: it goes to one endpoint, once, and what falls behind is cut off.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use wattle_http::{Body, BodyError, ByteStr, Frame, Request, Sender, Watch};
use wattle_model::{RouteDecision, host_of};
use wattle_telemetry::{Counter, Family, Kind, Labels};

use super::attempt::{blame, failure, verdict};
use crate::phases::connect::{self, Wanted};
use crate::phases::pick::{self, Wish};
use crate::phases::{exchange, transform};
use crate::worker::{Service, SharedCluster, Worker};

/// Copies of one worker that are under way; beyond them none is made.
const MAX_UNDER_WAY: usize = 1_024;
/// Frames of a body that a copy may be behind.
const MAX_BEHIND: usize = 64;
/// Bytes of bodies that all copies of one worker together may be behind.
const MAX_BEHIND_BYTES: usize = 16 * 1024 * 1024;
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
    /// Bytes that originals have passed on and copies have not sent yet.
    behind: Rc<Cell<usize>>,
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
            behind: Rc::default(),
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
        let Some(place) = Place::take(worker) else {
            worker.mirrors.dropped.add(1);
            continue;
        };
        let asked = request.head.authority.clone();
        let copy = copied(&worker.mirrors, request);
        tokio::task::spawn_local(deliver(place, cluster.clone(), (copy, asked)));
    }
}

/// A copy's place among those that are under way, from when it is made.
struct Place(Rc<Worker>);

impl Place {
    fn take(worker: &Rc<Worker>) -> Option<Self> {
        let under_way = worker.mirrors.under_way.get();
        worker
            .mirrors
            .under_way
            .set(under_way + usize::from(under_way < MAX_UNDER_WAY));
        (under_way < MAX_UNDER_WAY).then(|| Self(worker.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let under_way = &self.0.mirrors.under_way;
        under_way.set(under_way.get().saturating_sub(1));
    }
}

/// A copy of a request, whose body follows the original's.
fn copied(mirrors: &Mirrors, request: &mut Request) -> Request {
    let mut head = request.head.clone();
    let authority = request.head.authority.as_str();
    let host = host_of(authority);
    // Whoever reads it can tell it from the original (Envoy, Istio).
    head.authority = format!("{host}-shadow{}", &authority[host.len()..]).into();
    let body = request
        .body
        .try_clone()
        .unwrap_or_else(|| follow(mirrors, &mut request.body));
    Request::new(head, body)
}

/// A body that gets every frame of `original` when that passes.
fn follow(mirrors: &Mirrors, original: &mut Body) -> Body {
    let (sender, body) = Body::channel(MAX_BEHIND);
    let behind = Rc::new(Behind {
        own: Cell::new(0),
        all: mirrors.behind.clone(),
    });
    let follower = Follower {
        sender: Some(sender),
        behind: behind.clone(),
    };
    *original = std::mem::take(original).watched(Box::new(follower));
    body.watched(Box::new(Sent(behind)))
}

/// Bytes that a copy is behind, its own and those of all copies; it gives back its own when it ends.
struct Behind {
    own: Cell<usize>,
    all: Rc<Cell<usize>>,
}

impl Behind {
    fn has_room(&self, bytes: usize) -> bool {
        self.all.get() + bytes <= MAX_BEHIND_BYTES
    }

    fn add(&self, bytes: usize) {
        self.own.set(self.own.get() + bytes);
        self.all.set(self.all.get() + bytes);
    }

    fn remove(&self, bytes: usize) {
        self.own.set(self.own.get().saturating_sub(bytes));
        self.all.set(self.all.get().saturating_sub(bytes));
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.remove(self.own.get());
    }
}

fn size(frame: &Frame) -> usize {
    match frame {
        Frame::Data(data) => data.len(),
        Frame::Trailers(_) => 0,
    }
}

/// Feeds a copy's body; gone once the copy fell behind.
struct Follower {
    sender: Option<Sender>,
    behind: Rc<Behind>,
}

impl Watch for Follower {
    fn frame(&mut self, frame: &Frame) {
        let Some(sender) = &self.sender else { return };
        let bytes = size(frame);
        if self.behind.has_room(bytes) && sender.try_send(frame.clone()).is_ok() {
            self.behind.add(bytes);
        } else {
            self.sender = None;
        }
    }

    fn end(&mut self, error: Option<&BodyError>) {
        if let (None, Some(sender)) = (error, self.sender.take()) {
            sender.finish();
        }
    }
}

/// Sees a copy's body leave.
struct Sent(Rc<Behind>);

impl Watch for Sent {
    fn frame(&mut self, frame: &Frame) {
        self.0.remove(size(frame));
    }

    fn end(&mut self, _error: Option<&BodyError>) {}
}

impl Drop for Sent {
    /// What was not sent is let go of with the body.
    fn drop(&mut self) {
        self.0.remove(self.0.own.get());
    }
}

async fn deliver(place: Place, cluster: SharedCluster, copy: (Request, ByteStr)) {
    let worker = &place.0;
    let delivered = tokio::time::timeout(LONGEST, once(worker, &cluster, copy)).await;
    match delivered {
        Ok(Some(())) => worker.mirrors.answered.add(1),
        Ok(None) | Err(_) => worker.mirrors.failed.add(1),
    }
}

/// Sends it to one endpoint and reads the answer to its end; nothing when that fails. What happens counts for the
/// endpoint, or one that is down would get copies for ever.
async fn once(worker: &Rc<Worker>, cluster: &SharedCluster, (copy, asked): (Request, ByteStr)) -> Option<()> {
    let mut picked = pick::pick(worker, cluster, Wish::default(), &[]).ok()?;
    let wanted = Wanted::by(&copy.head);
    let grpc = transform::is_grpc(&copy.head.headers);
    let started = worker.clock.now_ns();
    let elapsed = || worker.clock.now_ns() - started;
    let connected = connect::http(worker, picked.member().payload(), wanted, asked.as_str()).await;
    let connection = match connected {
        Ok(connection) => connection,
        Err(failure) => {
            picked.outcome(elapsed(), blame(&failure));
            return None;
        }
    };
    let mut answer = match exchange::exchange(connection, Box::new(copy)).await {
        Ok(answered) => answered.response,
        Err(error) => {
            // A copy that was cut off is no fault of the endpoint's, nor is a kept connection that was closed.
            let reason = exchange::reason(&error.kind);
            if let Some(outcome) = failure(reason).filter(|_| !error.reused) {
                picked.outcome(elapsed(), outcome);
            }
            return None;
        }
    };
    picked.outcome(elapsed(), verdict(&answer, grpc));
    while let Some(frame) = answer.body.next().await {
        frame.ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;
    use futures_util::FutureExt as _;

    use super::*;
    use crate::tests::worker;

    fn data(bytes: usize) -> Frame {
        Frame::Data(Bytes::from(vec![0; bytes]))
    }

    #[test]
    fn a_copy_counts_from_when_it_is_made_so_that_a_burst_cannot_pass_the_bound() {
        let worker = worker();
        let places: Vec<_> = (0..MAX_UNDER_WAY)
            .map(|_| Place::take(&worker).unwrap())
            .collect();
        assert!(Place::take(&worker).is_none());
        drop(places);
        assert!(Place::take(&worker).is_some());
    }

    #[tokio::test]
    async fn copies_that_fall_behind_by_too_many_bytes_are_cut_off_and_leave_nothing_behind() {
        let worker = worker();
        let (sender, mut original) = Body::channel(1);
        let mut copy = follow(&worker.mirrors, &mut original);
        for _ in 0..3 {
            sender.try_send(data(MAX_BEHIND_BYTES / 2)).unwrap();
            original.next().await.unwrap().unwrap();
        }
        assert_eq!(worker.mirrors.behind.get(), MAX_BEHIND_BYTES);
        assert!(copy.next().await.unwrap().is_ok() && copy.next().await.unwrap().is_ok());
        assert!(copy.next().await.unwrap().is_err(), "the third was cut off");
        assert_eq!(worker.mirrors.behind.get(), 0);
    }

    #[tokio::test]
    async fn a_copy_that_is_given_up_holds_nothing_while_its_original_goes_on() {
        let worker = worker();
        let (sender, mut original) = Body::channel(1);
        let copy = follow(&worker.mirrors, &mut original);
        sender.try_send(data(10)).unwrap();
        original.next().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!(worker.mirrors.behind.get(), 10);
        drop(copy);
        assert_eq!(worker.mirrors.behind.get(), 0);
        sender.try_send(data(10)).unwrap();
        original.next().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!(worker.mirrors.behind.get(), 0);
    }
}
