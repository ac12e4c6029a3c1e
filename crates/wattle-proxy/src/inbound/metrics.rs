//! Series of the edges to this workload, made once per connection or refusal.

use std::rc::Rc;
use std::sync::Arc;

use wattle_identity::SpiffeId;
use wattle_model::Workload;
use wattle_telemetry::{
    Edge, EdgeMetrics, Family, Kind, Labels, Peer, Protocol, Reporter, Security, TcpMetrics,
};

use super::Who;
use crate::worker::{Worker, peer_of};

/// Peers turned away in the handshake.
static TURNED_AWAY: Family = Family {
    name: "wattle_inbound_tls_refused_total",
    help: "Inbound connections whose peer was turned away in the TLS handshake, by reason.",
    kind: Kind::Counter,
    hides_idle: false,
};

/// Peers that were let in.
static SECURED: Family = Family {
    name: "wattle_inbound_tls_handshakes_total",
    help: "Inbound connections that were secured by mutual TLS, by peer and key exchange.",
    kind: Kind::Counter,
    hides_idle: false,
};

/// Series of requests on this connection.
pub(super) fn http(worker: &Worker, who: &Who, grpc: bool) -> Rc<EdgeMetrics> {
    let protocol = if grpc { Protocol::Grpc } else { Protocol::Http };
    Rc::new(worker.shard.edge(&edge(worker, who, protocol)))
}

/// Series of this opaque connection.
pub(super) fn tcp(worker: &Worker, who: &Who) -> TcpMetrics {
    worker.shard.tcp_edge(&edge(worker, who, Protocol::Tcp))
}

/// Counts a peer that was turned away.
pub(super) fn turned_away(worker: &Worker, reason: &'static str) {
    worker
        .shard
        .counter(&TURNED_AWAY, &Labels::new(&[("reason", reason)]))
        .increment();
}

/// Counts a connection that was secured.
pub(super) fn secured(worker: &Worker, peer: &SpiffeId, key_exchange: &'static str) {
    let labels = Labels::new(&[
        ("source_principal", peer.as_str()),
        ("key_exchange", key_exchange),
    ]);
    worker.shard.counter(&SECURED, &labels).increment();
}

fn edge(worker: &Worker, who: &Who, protocol: Protocol) -> Arc<Edge> {
    let inbound = worker.inbound();
    let service = inbound
        .as_deref()
        .and_then(|inbound| inbound.port(who.local.port()).service);
    let text = |value: Option<&Arc<str>>| value.map_or(Box::default(), |text| (&**text).into());
    Arc::new(Edge {
        reporter: Reporter::Destination,
        source: source(worker, who),
        destination: peer_of(&worker.own_workload()),
        service: text(service.map(|port| &port.host)),
        service_name: text(service.map(|port| &port.name)),
        service_namespace: text(service.map(|port| &port.namespace)),
        protocol,
        security: if who.peer.is_some() {
            Security::MutualTls
        } else {
            Security::None
        },
    })
}

/// What the control plane says of the peer's address, where that fits the identity it proved; else the identity alone.
fn source(worker: &Worker, who: &Who) -> Peer {
    let told = worker.peer(who.downstream.ip());
    match (&who.peer, told) {
        (Some(id), Some(workload)) if is_of(&workload, id) => peer_of(&workload),
        (None, Some(workload)) => Peer {
            principal: Box::default(),
            ..peer_of(&workload)
        },
        (Some(id), _) => Peer {
            namespace: id.namespace().into(),
            principal: id.as_str().into(),
            canonical_service: id.service_account().into(),
            ..Peer::default()
        },
        (None, None) => Peer::default(),
    }
}

fn is_of(workload: &Workload, id: &SpiffeId) -> bool {
    *workload.namespace == *id.namespace()
        && *workload.service_account == *id.service_account()
        && *workload.trust_domain == *id.trust_domain()
}
