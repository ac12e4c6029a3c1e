//! Opaque connections of the workload.

use std::io;
use std::rc::Rc;

use wattle_balance::{EndpointId, Outcome, Picked};
use wattle_model::{Access, Destination, NoTrace, OutboundFacts, Reason};
use wattle_net::detect::Speaker;
use wattle_net::{Stream, first_speaker};
use wattle_telemetry::TcpMetrics;

use super::metrics;
use crate::phases::accept::Accepted;
use crate::phases::detect::{self, Spoken};
use crate::phases::relay::{Opaque, Staying};
use crate::phases::{connect, pick, reply, route};
use crate::worker::{AskedHost, Cluster, Service, SharedCluster, Upstream, Worker, goes_by_host};

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

/// Dials an endpoint of the backend that the connection is routed to, and relays.
pub(super) async fn carry(
    worker: &Rc<Worker>,
    accepted: Accepted,
    service: &Rc<Service>,
    server_name: Option<&str>,
) {
    match dial(worker, &accepted, service, server_name).await {
        Some(dialled) => dialled.carry(worker, accepted.stream).await,
        None => accepted.stream.abort(),
    }
}

/// Dials an endpoint, another one when a connect fails; `None` was recorded.
pub(super) async fn dial(
    worker: &Rc<Worker>,
    accepted: &Accepted,
    service: &Rc<Service>,
    server_name: Option<&str>,
) -> Option<Dialled> {
    let mut opaque = Opaque::begin(worker, accepted.peer, accepted.destination);
    opaque.names.server_name = server_name.map(Into::into);
    let cluster = match routed(worker, accepted, service, server_name, &mut opaque).await {
        Ok(cluster) => cluster,
        Err(reason) => {
            opaque.refused(worker, None, reason.id(), reply::flags(reason));
            return None;
        }
    };
    match reach(worker, service, &cluster, &mut opaque).await {
        Ok((stream, picked, dialled_ns)) => Some(Dialled {
            metrics: metrics::tcp(
                worker,
                picked.member().payload(),
                service.destination.service.as_ref(),
            ),
            stream,
            picked,
            opaque,
            dialled_ns,
        }),
        Err(reason) => {
            opaque.refused(worker, None, reason.id(), reply::flags(reason));
            None
        }
    }
}

/// May a client that says nothing lead somewhere? Where requests alone do, or where the host that is asked for decides, only
/// its first words tell.
pub(super) fn takes_the_silent(worker: &Worker, accepted: &Accepted, destination: &Destination) -> bool {
    if destination.backends.is_empty() {
        // No words would help.
        return true;
    }
    let own = worker.inbound();
    let facts = OutboundFacts {
        server_name: None,
        destination: accepted.destination.ip(),
        caller: route::caller(own.as_deref(), accepted.peer.ip()),
    };
    let decision = destination.route_connection(&facts, 0, &mut NoTrace);
    decision.backend.is_ok_and(|(_, backend)| !goes_by_host(backend))
}

/// The endpoints that the connection is routed to.
async fn routed(
    worker: &Worker,
    accepted: &Accepted,
    service: &Service,
    server_name: Option<&str>,
    opaque: &mut Opaque,
) -> Result<SharedCluster, Reason> {
    let own = worker.inbound();
    let caller = route::caller(own.as_deref(), accepted.peer.ip());
    let destination = &service.destination;
    if let Access::Refused(reason) = destination.access(&caller, &mut NoTrace) {
        return Err(reason);
    }
    let facts = OutboundFacts {
        server_name,
        destination: accepted.destination.ip(),
        caller,
    };
    let decision = destination.route_connection(&facts, worker.clock.random(), &mut NoTrace);
    opaque.names.route = decision.route.map(|route| route.origin.object.name.clone());
    let (index, backend) = decision.backend?;
    opaque.names.service = backend.service.as_ref().map(|service| service.host.clone());
    if !goes_by_host(backend) {
        return service.cluster(index).cloned().ok_or(Reason::NoBackend);
    }
    let asked = AskedHost {
        host: server_name,
        dialled: accepted.destination,
        caller: accepted.peer.ip(),
    };
    Box::pin(service.by_host(worker, (index, backend), asked)).await
}

/// A connection to one of the endpoints, and when it was dialled.
async fn reach(
    worker: &Rc<Worker>,
    service: &Service,
    cluster: &Cluster,
    opaque: &mut Opaque,
) -> Result<(Stream, Picked<Upstream>, u64), Reason> {
    let mut tried: Vec<EndpointId> = Vec::new();
    let mut last = Reason::NoEndpoints;
    while tried.len() < MAX_TRIES {
        let mut picked = match pick::connection(worker, cluster, opaque.downstream.ip(), &tried) {
            Ok(picked) => picked,
            Err(reason) if tried.is_empty() => return Err(reason),
            Err(_) => break,
        };
        if tried.contains(&picked.member().id()) {
            break;
        }
        tried.push(picked.member().id());
        let started = worker.clock.now_ns();
        let member = picked.member().clone();
        match connect::opaque(worker, member.payload(), (opaque.downstream, opaque.local)).await {
            Ok((stream, proof)) => {
                opaque.staying = proof.map(Staying::believed);
                picked.outcome(worker.clock.now_ns() - started, Outcome::Success);
                opaque.limits = member.payload().bounds.relaying();
                opaque.upstream = Some(member.address());
                opaque.names.destination = metrics::principal(worker, member.payload());
                return Ok((stream, picked, started));
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
    Err(last)
}

impl Dialled {
    /// What the side that speaks first says; anything but HTTP of the client's goes on here.
    pub(super) async fn first_word(&mut self, client: &mut Stream) -> io::Result<Spoken> {
        match first_speaker(client, &mut self.stream).await? {
            Speaker::Client => detect::begun(client).await,
            Speaker::ServerClosed => detect::late(client).await,
            Speaker::Server | Speaker::ClientClosed => Ok(Spoken::Opaque),
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
