//! Opaque connections of the workload.

use std::io;
use std::rc::Rc;

use wattle_balance::{EndpointId, Outcome, Picked};
use wattle_model::Reason;
use wattle_net::detect::Speaker;
use wattle_net::{Stream, first_speaker};
use wattle_telemetry::TcpMetrics;

use super::metrics;
use crate::phases::accept::Accepted;
use crate::phases::detect::{self, Spoken};
use crate::phases::relay::Opaque;
use crate::phases::{connect, pick, reply};
use crate::worker::{Service, Upstream, Worker};

/// Endpoints tried for one connection.
const MAX_TRIES: usize = 3;

/// An endpoint that was dialled for an opaque connection.
pub(super) struct Dialled {
    stream: Stream,
    picked: Picked<Upstream>,
    metrics: Rc<TcpMetrics>,
    opaque: Opaque,
    dialled_ns: u64,
}

/// Dials an endpoint of the default backend and relays.
pub(super) async fn carry(worker: &Rc<Worker>, accepted: Accepted, service: &Rc<Service>) {
    match dial(worker, &accepted, service).await {
        Some(dialled) => dialled.carry(worker, accepted.stream).await,
        None => accepted.stream.abort(),
    }
}

/// Dials an endpoint of the default backend, another one when a connect fails; `None` was recorded.
pub(super) async fn dial(worker: &Rc<Worker>, accepted: &Accepted, service: &Rc<Service>) -> Option<Dialled> {
    let mut opaque = Opaque::begin(worker, accepted.peer, accepted.destination);
    let Some((index, backend)) = service.destination.default_backend() else {
        opaque.refused(
            worker,
            None,
            Reason::NoBackend.id(),
            reply::flags(Reason::NoBackend),
        );
        return None;
    };
    opaque.names.service = backend.service.as_ref().map(|service| service.host.clone());
    let cluster = service.cluster(index)?.clone();
    let mut tried: Vec<EndpointId> = Vec::new();
    let mut last = Reason::NoEndpoints;
    while tried.len() < MAX_TRIES {
        let Ok(mut picked) = pick::pick(worker, &cluster, &tried) else {
            break;
        };
        if tried.contains(&picked.member().id()) {
            break;
        }
        tried.push(picked.member().id());
        let started = worker.clock.now_ns();
        let member = picked.member().clone();
        match connect::opaque(worker, member.payload()).await {
            Ok(stream) => {
                picked.outcome(worker.clock.now_ns() - started, Outcome::Success);
                let metrics = metrics::tcp(worker, member.payload(), service.destination.service.as_ref());
                opaque.upstream = Some(member.address());
                opaque.names.destination = metrics::principal(worker, member.payload());
                return Some(Dialled {
                    stream,
                    picked,
                    metrics,
                    opaque,
                    dialled_ns: started,
                });
            }
            Err(failure) => {
                picked.outcome(worker.clock.now_ns() - started, Outcome::ConnectFailure);
                tracing::info!(
                    service = %service.destination.name, endpoint = %member.address(),
                    reason = failure.reason.id(), cause = failure.cause, detail = failure.detail, "connect failed"
                );
                last = failure.reason;
            }
        }
    }
    opaque.refused(worker, None, last.id(), reply::flags(last));
    None
}

impl Dialled {
    /// What the side that speaks first says; anything but HTTP of the client's goes on here.
    pub(super) async fn first_word(&mut self, client: &mut Stream) -> io::Result<Spoken> {
        match first_speaker(client, &mut self.stream).await? {
            Speaker::Client => detect::begun(client).await,
            Speaker::Server | Speaker::ClientClosed | Speaker::ServerClosed => Ok(Spoken::Opaque),
        }
    }

    /// Relays until both sides are done.
    pub(super) async fn carry(self, worker: &Rc<Worker>, client: Stream) {
        let Self {
            stream,
            picked,
            metrics,
            opaque,
            dialled_ns,
        } = self;
        tracing::trace!(after_ns = worker.clock.now_ns() - dialled_ns, "relaying");
        opaque.carry(worker, metrics, client, stream).await;
        drop(picked);
    }
}
