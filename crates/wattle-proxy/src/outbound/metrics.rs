//! Series of the edges from this workload, made when an endpoint is first used.

use std::rc::Rc;
use std::sync::Arc;

use wattle_model::{ServicePort, Workload};
use wattle_telemetry::{Edge, EdgeMetrics, Protocol, Reporter, Security, TcpMetrics};

use crate::worker::{Service, Upstream, Worker, peer_of, principal_of};

/// Series of requests to an endpoint, under the service that was dialled: what a canary splits is still one edge.
pub(super) fn http(
    worker: &Worker,
    upstream: &Upstream,
    frontend: Option<&ServicePort>,
    grpc: bool,
) -> Rc<EdgeMetrics> {
    let protocol = if grpc { Protocol::Grpc } else { Protocol::Http };
    let make = || {
        worker
            .shard
            .edge(&to_upstream(worker, upstream, frontend, protocol))
    };
    upstream
        .http_series
        .at(frontend.map(|port| &port.host), protocol, make)
}

/// Series of opaque connections to an endpoint, likewise.
pub(super) fn tcp(worker: &Worker, upstream: &Upstream, frontend: Option<&ServicePort>) -> Rc<TcpMetrics> {
    let make = || {
        worker
            .shard
            .tcp_edge(&to_upstream(worker, upstream, frontend, Protocol::Tcp))
    };
    upstream
        .tcp_series
        .at(frontend.map(|port| &port.host), Protocol::Tcp, make)
}

/// Series of requests that reached no endpoint of a service.
pub(super) fn refused(worker: &Worker, service: &Service, grpc: bool) -> Rc<EdgeMetrics> {
    let protocol = if grpc { Protocol::Grpc } else { Protocol::Http };
    let frontend = service.destination.service.as_ref();
    let make = || {
        worker.shard.edge(&edge(
            worker,
            &Workload::default(),
            frontend,
            protocol,
            Security::Unknown,
        ))
    };
    service.refused_series.at(None, protocol, make)
}

/// The SPIFFE name expected at an endpoint, for the log.
pub(super) fn principal(worker: &Worker, upstream: &Upstream) -> Option<Rc<str>> {
    worker.access.as_ref()?;
    principal_of(&upstream.workload).map(Into::into)
}

fn to_upstream(
    worker: &Worker,
    upstream: &Upstream,
    frontend: Option<&ServicePort>,
    protocol: Protocol,
) -> Arc<Edge> {
    let security = match upstream.security() {
        crate::worker::Security::Mesh => Security::MutualTls,
        _ => Security::None,
    };
    edge(worker, &upstream.workload, frontend, protocol, security)
}

fn edge(
    worker: &Worker,
    destination: &Workload,
    service: Option<&ServicePort>,
    protocol: Protocol,
    security: Security,
) -> Arc<Edge> {
    let text =
        |get: fn(&ServicePort) -> &Arc<str>| service.map_or(Box::default(), |port| (&**get(port)).into());
    Arc::new(Edge {
        reporter: Reporter::Source,
        source: peer_of(&worker.own_workload()),
        destination: peer_of(destination),
        service: text(|port| &port.host),
        service_name: text(|port| &port.name),
        service_namespace: text(|port| &port.namespace),
        protocol,
        security,
    })
}
