//! The golden metrics of edges and services, from what proxies have counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use wattle_telemetry::{EdgeName, EdgeTotal, EdgeView, Snapshot};

/// The side of an edge that dials.
const SOURCE: &str = "source";

/// Success, rate and latency of some traffic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Golden {
    /// Requests, 0 for a TCP edge.
    pub(crate) requests: u64,
    /// Share of requests that went well, 0 to 1; none without requests.
    pub(crate) success_rate: Option<f64>,
    /// Requests per second over the interval; none without one.
    pub(crate) rps: Option<f64>,
    /// Median latency in milliseconds.
    pub(crate) p50_ms: Option<f64>,
    /// 95th percentile.
    pub(crate) p95_ms: Option<f64>,
    /// 99th percentile.
    pub(crate) p99_ms: Option<f64>,
    /// TCP connections opened.
    pub(crate) connections: u64,
    /// TCP connections open now.
    pub(crate) open: u64,
    /// Bytes to the client on TCP connections.
    pub(crate) sent_bytes: u64,
    /// Bytes from the client on TCP connections.
    pub(crate) received_bytes: u64,
}

/// One edge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Edge {
    /// The calling service.
    pub(crate) source: String,
    /// Its namespace.
    pub(crate) source_namespace: String,
    /// The service called.
    pub(crate) destination: String,
    /// Its namespace.
    pub(crate) destination_namespace: String,
    /// `http`, `grpc` or `tcp`.
    pub(crate) protocol: String,
    /// Whether both sides have shown who they are.
    pub(crate) mtls: bool,
    /// Requests, or connections, by version of the destination.
    pub(crate) versions: BTreeMap<String, u64>,
    /// Success, rate and latency.
    #[serde(flatten)]
    pub(crate) golden: Golden,
}

/// One service, as its callers see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Service {
    /// Its name.
    pub(crate) service: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Whether all of its edges are mutual TLS.
    pub(crate) mtls: bool,
    /// Success, rate and latency.
    #[serde(flatten)]
    pub(crate) golden: Golden,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Report {
    /// By namespace and name.
    pub(crate) services: Vec<Service>,
    /// By source and destination.
    pub(crate) edges: Vec<Edge>,
}

/// What has been counted, and what of it during the last interval.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    /// All of it, or what a window shows.
    pub(crate) total: Snapshot,
    /// What was counted lately, and during how long.
    pub(crate) lately: Option<(Snapshot, Duration)>,
}

/// What makes two rows the same edge.
type Key = (String, String, String, String, String, bool);

fn key(name: &EdgeName, secured: bool) -> Key {
    let EdgeName {
        source,
        source_namespace,
        destination,
        destination_namespace,
        protocol,
        ..
    } = name.clone();
    (
        source_namespace,
        source,
        destination_namespace,
        destination,
        protocol,
        secured,
    )
}

/// Whether a row tells of requests that reached a workload. Others were answered by the source's own proxy: they went
/// nowhere, so they say nothing about how the edge is secured.
fn went_somewhere(edge: &EdgeView) -> bool {
    !edge.name.destination_workload.is_empty()
}

/// Whether a row belongs to a secured edge: by itself, or, if it went nowhere, because all that did go was secured.
fn is_secured(edge: &EdgeView, all: &[&EdgeView]) -> bool {
    if edge.name.mtls || went_somewhere(edge) {
        return edge.name.mtls;
    }
    let is_same =
        |other: &&&EdgeView| key(&other.name, true) == key(&edge.name, true) && went_somewhere(other);
    let mut same = all.iter().filter(is_same).peekable();
    same.peek().is_some() && same.all(|other| other.name.mtls)
}

/// Each edge as its source tells it; as its destination does only where the source tells nothing, having no proxy.
/// The destination does not know by which service it was called, so its view may bear another name.
fn once(snapshot: &Snapshot) -> Vec<&EdgeView> {
    let is_told_by_source = |edge: &&EdgeView| edge.name.reporter == SOURCE;
    let source = |edge: &EdgeView| (edge.name.source_namespace.clone(), edge.name.source.clone());
    let telling: BTreeSet<_> = snapshot
        .edges
        .iter()
        .filter(is_told_by_source)
        .map(source)
        .collect();
    let counts = |edge: &&EdgeView| {
        let silent = edge.total.requests == 0 && edge.total.connections_opened == 0;
        !silent && (is_told_by_source(edge) || !telling.contains(&source(edge)))
    };
    snapshot.edges.iter().filter(counts).collect()
}

/// The totals of some edges together.
fn sum<'a>(edges: impl IntoIterator<Item = &'a EdgeView>) -> EdgeTotal {
    let mut together = Snapshot::default();
    for edge in edges {
        let nameless = EdgeView {
            name: EdgeName::default(),
            total: edge.total.clone(),
        };
        together.merge(&Snapshot {
            edges: vec![nameless],
        });
    }
    together.edges.pop().map(|edge| edge.total).unwrap_or_default()
}

fn golden(total: &EdgeTotal, lately: Option<(u64, Duration)>) -> Golden {
    let quantiles = total.quantiles();
    Golden {
        requests: total.requests,
        success_rate: total.success_rate(),
        rps: lately.map(|(requests, during)| requests as f64 / during.as_secs_f64().max(0.001)),
        p50_ms: quantiles.map(|quantiles| quantiles.p50_ms),
        p95_ms: quantiles.map(|quantiles| quantiles.p95_ms),
        p99_ms: quantiles.map(|quantiles| quantiles.p99_ms),
        connections: total.connections_opened,
        open: total.connections_opened.saturating_sub(total.connections_closed),
        sent_bytes: total.sent_bytes,
        received_bytes: total.received_bytes,
    }
}

/// Reads edges and services off, those of one service only if it is named.
pub(crate) fn report(counted: &Counted, service: Option<&str>) -> Report {
    let is_meant = |edge: &&EdgeView| {
        service.is_none_or(|service| edge.name.source == service || edge.name.destination == service)
    };
    let all: Vec<&EdgeView> = once(&counted.total).into_iter().filter(is_meant).collect();
    let lately = counted
        .lately
        .as_ref()
        .map(|(snapshot, during)| (once(snapshot), *during));
    let recent = |is_it: &dyn Fn(&EdgeName) -> bool| {
        lately.as_ref().map(|(edges, during)| {
            let requests = edges
                .iter()
                .filter(|edge| is_it(&edge.name))
                .map(|edge| edge.total.requests)
                .sum();
            (requests, *during)
        })
    };
    Report {
        services: services(&all, &recent),
        edges: edges(&all, &recent),
    }
}

type Recent<'a> = dyn Fn(&dyn Fn(&EdgeName) -> bool) -> Option<(u64, Duration)> + 'a;

fn edges(all: &[&EdgeView], recent: &Recent<'_>) -> Vec<Edge> {
    let mut groups: BTreeMap<Key, Vec<&EdgeView>> = BTreeMap::new();
    for edge in all {
        groups
            .entry(key(&edge.name, is_secured(edge, all)))
            .or_default()
            .push(edge);
    }
    let edge = |(group, members): (Key, Vec<&EdgeView>)| {
        let names: BTreeSet<&EdgeName> = members.iter().map(|edge| &edge.name).collect();
        let lately = recent(&|name| names.contains(name));
        let golden = golden(&sum(members.iter().copied()), lately);
        let (source_namespace, source, destination_namespace, destination, protocol, mtls) = group;
        let versions = versions(&members);
        Edge {
            source,
            source_namespace,
            destination,
            destination_namespace,
            protocol,
            mtls,
            versions,
            golden,
        }
    };
    groups.into_iter().map(edge).collect()
}

fn versions(members: &[&EdgeView]) -> BTreeMap<String, u64> {
    let mut versions = BTreeMap::new();
    for edge in members {
        let count = edge.total.requests + edge.total.connections_opened;
        if count > 0 {
            *versions.entry(edge.name.destination_version.clone()).or_default() += count;
        }
    }
    versions
}

fn services(all: &[&EdgeView], recent: &Recent<'_>) -> Vec<Service> {
    let mut groups: BTreeMap<(String, String), Vec<&EdgeView>> = BTreeMap::new();
    for edge in all {
        let name = (
            edge.name.destination_namespace.clone(),
            edge.name.destination.clone(),
        );
        groups.entry(name).or_default().push(edge);
    }
    let service = |((namespace, service), members): ((String, String), Vec<&EdgeView>)| {
        let lately = recent(&|name| name.destination == service && name.destination_namespace == namespace);
        let mtls = members.iter().all(|edge| is_secured(edge, all));
        Service {
            golden: golden(&sum(members), lately),
            mtls,
            service,
            namespace,
        }
    };
    groups.into_iter().map(service).collect()
}

#[cfg(test)]
mod tests;
