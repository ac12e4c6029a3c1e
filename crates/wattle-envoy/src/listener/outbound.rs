//! What the workload dials.
//!
//! The listener that connections are redirected to hands each over to the listener of the address it was meant for, which
//! does not bind. With many destinations, a change of one leaves the others and their connections alone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3 as xds;
use envoy_types::pb::envoy::extensions::filters::listener::http_inspector::v3::HttpInspector;
use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::CodecType;
use wattle_model::{
    Access, Backend, CallerFacts, ConnectionRoute, Destination, HostMatch, NoTrace, Protocol, Reason,
};

use super::chain::{Looks, closed, otherwise};
use super::{CLIENT_FIRST, HTTP1, HTTP2, PATIENCE, hcm, listener_filter};
use crate::cluster::{Clusters, Wire};
use crate::notes::{Notes, Output};
use crate::proto::{address, duration, flag, unlimited};
use crate::route::{self, Facing};
use crate::{Kind, Scene};

/// Listener and routes of one destination.
pub(crate) fn destination(
    destination: &Destination,
    scene: &Scene<'_>,
    clusters: &mut Clusters<'_>,
    (output, notes): (&mut Output, &mut Notes),
) {
    notes.at(None, &destination.name);
    let Ok(dialled) = destination.name.parse::<SocketAddr>() else {
        notes.gap("its name is no address: nothing listens for it");
        return;
    };
    let mut listener = bare(dialled);
    fill(&mut listener, destination, scene, (clusters, output, notes));
    output.add(Kind::Listener, &listener.name.clone(), &listener);
}

/// A listener that does not bind, for an address that the workload dials.
pub(super) fn bare(dialled: SocketAddr) -> xds::Listener {
    xds::Listener {
        name: super::name(dialled),
        address: address(dialled),
        bind_to_port: flag(false),
        traffic_direction: TrafficDirection::Outbound.into(),
        ..Default::default()
    }
}

/// Gives a listener what a destination is to this client, and writes the routes that it refers to.
pub(super) fn fill(
    listener: &mut xds::Listener,
    destination: &Destination,
    scene: &Scene<'_>,
    (clusters, output, notes): (&mut Clusters<'_>, &mut Output, &mut Notes),
) {
    let seen = seen(destination, scene);
    let mut facing = Facing {
        destination: &seen.destination,
        wire: Wire::Opaque,
        labels: scene.labels,
        clusters,
        notes,
    };
    listen(listener, &mut facing, &seen);
    if seen.speaks_http() {
        for wire in [Wire::Http1, Wire::Http2] {
            let name = route::name(&destination.name, wire);
            let routes = match seen.refused {
                Some(reason) => Facing::refusals(&name, reason),
                None => {
                    facing.wire = wire;
                    facing.routes(&name)
                }
            };
            output.add_bytes(Kind::Route, &name, routes);
        }
    }
}

/// A destination as it is to this client.
pub(super) struct Seen {
    pub(super) destination: Destination,
    pub(super) refused: Option<Reason>,
}

impl Seen {
    fn speaks_http(&self) -> bool {
        self.destination.protocol.is_http() || self.destination.protocol == Protocol::Detect
    }
}

pub(super) fn seen(destination: &Destination, scene: &Scene<'_>) -> Seen {
    let caller = CallerFacts {
        labels: scene.labels,
        ..CallerFacts::default()
    };
    match destination.access(&caller, &mut NoTrace) {
        Access::Full => Seen {
            destination: destination.clone(),
            refused: None,
        },
        Access::PassThrough => Seen {
            destination: as_dialled(&destination.name),
            refused: None,
        },
        Access::Refused(reason) => Seen {
            destination: destination.clone(),
            refused: Some(reason),
        },
    }
}

/// An address as if the mesh knew nothing of it.
pub(super) fn as_dialled(name: &Arc<str>) -> Destination {
    Destination {
        name: Arc::clone(name),
        backends: vec![Backend::default()],
        default_backend: Some(0),
        ..Destination::default()
    }
}

/// Chains by what is spoken.
fn listen(listener: &mut xds::Listener, facing: &mut Facing<'_, '_>, seen: &Seen) {
    let destination = &seen.destination;
    let name = &destination.name;
    if destination.protocol.is_http() {
        // Anything that is not the HTTP/2 preface is treated, and answered, as HTTP/1.
        let http2 = Looks {
            protocols: &[HTTP2],
            ..Default::default()
        };
        listener.filter_chains = vec![http2.chain("http/2", http(name, Wire::Http2))];
        listener.default_filter_chain = Some(otherwise("http/1", http(name, Wire::Http1)));
        listener.listener_filters = vec![http_inspector()];
        // An idle connection that a client opened ahead of need is no error.
        listener.listener_filters_timeout = unlimited();
        return;
    }
    let (named, rest) = match seen.refused {
        Some(_) => (Vec::new(), closed()),
        None => connections(facing),
    };
    let by_name = !named.is_empty();
    listener.filter_chains = named;
    listener.default_filter_chain = Some(otherwise("tcp", rest));
    if by_name {
        listener.listener_filters.push(listener_filter(
            "envoy.filters.listener.tls_inspector",
            &TlsInspector::default(),
        ));
    }
    if destination.protocol == Protocol::Detect {
        listener.listener_filters.push(http_inspector());
        listener.filter_chains.extend(detected(name));
    }
    let patience = if by_name { PATIENCE } else { CLIENT_FIRST };
    wait(listener, patience);
}

/// Waits so long for the client's first bytes, if it waits at all, and goes on without them.
fn wait(listener: &mut xds::Listener, patience: Duration) {
    if !listener.listener_filters.is_empty() {
        listener.listener_filters_timeout = Some(duration(patience));
        listener.continue_on_listener_filters_timeout = true;
    }
}

fn detected(name: &Arc<str>) -> Vec<xds::FilterChain> {
    let clear = |protocols| Looks {
        transport: "raw_buffer",
        protocols,
        ..Default::default()
    };
    vec![
        clear(&HTTP1).chain("http/1", http(name, Wire::Http1)),
        clear(&[HTTP2]).chain("http/2", http(name, Wire::Http2)),
    ]
}

fn http(name: &Arc<str>, wire: Wire) -> Vec<xds::Filter> {
    let codec = match wire {
        Wire::Http2 => CodecType::Http2,
        Wire::Http1 | Wire::Opaque => CodecType::Http1,
    };
    let routes = hcm::by_name(&route::name(name, wire));
    vec![hcm::filter(&hcm::manager(codec, routes, hcm::outbound_filters()))]
}

fn http_inspector() -> xds::ListenerFilter {
    listener_filter("envoy.filters.listener.http_inspector", &HttpInspector::default())
}

/// Chains by server name, and what becomes of connections that have none of them.
fn connections(facing: &mut Facing<'_, '_>) -> (Vec<xds::FilterChain>, Vec<xds::Filter>) {
    let destination = facing.destination;
    if destination.connections.is_empty() {
        return (Vec::new(), vec![facing.default_connection()]);
    }
    let applying = applying(destination, facing.labels);
    let mut chains = Vec::new();
    for (name, host) in names(&applying) {
        let covers = |route: &&&ConnectionRoute| {
            let names = &route.matches.server_names;
            names.is_empty() || names.iter().any(|wanted| wanted.covers(&host))
        };
        let Some(route) = applying.iter().find(covers) else {
            continue;
        };
        facing.notes.at(Some(&route.origin.object), &destination.name);
        let names = [name.clone()];
        let looks = match host {
            HostMatch::Any => {
                facing
                    .notes
                    .gap("any server name, but one: connections with TLS and without a name match too");
                Looks {
                    transport: "tls",
                    ..Default::default()
                }
            }
            HostMatch::Exact(_) | HostMatch::Suffix(_) => Looks {
                names: &names,
                ..Default::default()
            },
        };
        chains.push(looks.chain(&name, vec![facing.connection(&route.backends)]));
    }
    let unnamed = applying
        .iter()
        .find(|route| route.matches.server_names.is_empty());
    let rest = match unnamed {
        Some(route) => {
            facing.notes.at(Some(&route.origin.object), &destination.name);
            vec![facing.connection(&route.backends)]
        }
        None => closed(),
    };
    (chains, rest)
}

/// The routes that may match here: labels of the caller and the dialled address are known.
fn applying<'a>(
    destination: &'a Destination,
    labels: &[wattle_model::CallerLabel],
) -> Vec<&'a ConnectionRoute> {
    let address = destination
        .name
        .parse::<SocketAddr>()
        .ok()
        .map(|address| address.ip());
    let applies = |route: &&ConnectionRoute| {
        let matches = &route.matches;
        let within = || {
            matches
                .destinations
                .iter()
                .any(|block| address.is_some_and(|ip| block.contains(ip)))
        };
        (matches.destinations.is_empty() || within())
            && matches.caller_labels.iter().all(|label| labels.contains(label))
    };
    destination.connections.iter().filter(applies).collect()
}

/// Every server name that a route asks for.
fn names(routes: &[&ConnectionRoute]) -> BTreeMap<String, HostMatch> {
    let all = routes.iter().flat_map(|route| &route.matches.server_names);
    all.map(|host| (host.to_string(), host.clone())).collect()
}
