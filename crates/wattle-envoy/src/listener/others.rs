//! What the workload dials and no destination names.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3 as xds;
use wattle_model::Destination;

use super::chain::{Looks, circle, closed, otherwise, within};
use super::outbound::{Seen, as_dialled, bare, fill, seen};
use crate::cluster::{Clusters, Wire};
use crate::notes::{Notes, Output};
use crate::proto::{address, flag};
use crate::route::Facing;
use crate::scene::Others;
use crate::{Kind, Scene};

/// The listener that connections are redirected to. What no destination names is carried as opaque bytes: waiting for
/// its first bytes here would make every connection wait.
pub(crate) fn unnamed(
    others: &Others,
    at: SocketAddr,
    scene: &Scene<'_>,
    (clusters, output, notes): (&mut Clusters<'_>, &mut Output, &mut Notes),
) {
    let mut carried = |destination: &Destination| {
        notes.at(None, &destination.name);
        let mut facing = Facing {
            destination,
            wire: Wire::Opaque,
            labels: scene.labels,
            clusters,
            notes,
        };
        vec![facing.default_connection()]
    };
    let anywhere = others.anywhere.as_deref();
    let rest = match anywhere.map(|anywhere| seen(anywhere, scene)) {
        None | Some(Seen { refused: Some(_), .. }) => closed(),
        Some(seen) => carried(&seen.destination),
    };
    let mut chains = vec![circle(at.port())];
    for (block, others) in &others.blocks {
        let filters = match seen(others, scene).refused {
            Some(_) => closed(),
            None => carried(&as_dialled(&others.name)),
        };
        chains.push(within(
            *block,
            Looks::default().chain(&format!("unnamed|{block}"), filters),
        ));
    }
    let listener = xds::Listener {
        name: "outbound".to_owned(),
        address: address(at),
        use_original_dst: flag(true),
        traffic_direction: TrafficDirection::Outbound.into(),
        filter_chains: chains,
        default_filter_chain: Some(otherwise("unnamed", rest)),
        ..Default::default()
    };
    output.add(Kind::Listener, "outbound", &listener);
}

/// The listener of a port at whatever address, where it depends on what is asked for.
pub(crate) fn open(
    port: u16,
    others: &Others,
    scene: &Scene<'_>,
    (clusters, output, notes): (&mut Clusters<'_>, &mut Output, &mut Notes),
) {
    let Some(anywhere) = &others.anywhere else {
        return;
    };
    let at = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let mut listener = bare(at);
    let named = |destination: &Destination, name: String| Destination {
        name: name.into(),
        ..destination.clone()
    };
    let rest = named(anywhere, at.to_string());
    notes.at(None, &rest.name);
    fill(&mut listener, &rest, scene, (clusters, output, notes));
    let blocks = others.blocks.iter();
    for (block, destination) in blocks.filter(|(block, _)| block.address.is_ipv4()) {
        let name: Arc<str> = format!("{block}:{port}").into();
        let destination = named(destination, name.to_string());
        notes.at(None, &name);
        let mut part = xds::Listener::default();
        fill(&mut part, &destination, scene, (clusters, output, notes));
        // Envoy does not look back: what a kind of transport has no chain for would be anywhere's again.
        let rest = part.default_filter_chain.into_iter().flat_map(|rest| {
            ["tls", "raw_buffer"].map(|transport| {
                let looks = Looks {
                    transport,
                    ..Default::default()
                };
                looks.chain(&format!("{}|{transport}", rest.name), rest.filters.clone())
            })
        });
        let chains = part
            .filter_chains
            .into_iter()
            .chain(rest)
            .map(|chain| xds::FilterChain {
                name: format!("{}|{block}", chain.name),
                ..within(*block, chain)
            });
        listener.filter_chains.extend(chains);
        for filter in part.listener_filters {
            if !listener.listener_filters.contains(&filter) {
                listener.listener_filters.push(filter);
                listener.listener_filters_timeout = part.listener_filters_timeout;
                listener.continue_on_listener_filters_timeout = part.continue_on_listener_filters_timeout;
            }
        }
    }
    output.add(Kind::Listener, &listener.name.clone(), &listener);
}
