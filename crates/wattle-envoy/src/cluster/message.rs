//! A cluster as a message.

use std::time::Duration;

use cluster::cluster::{ClusterDiscoveryType, DiscoveryType, DnsLookupFamily, EdsClusterConfig, LbPolicy};
use envoy_types::pb::envoy::config::cluster::v3 as cluster;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use wattle_model::traffic::UpstreamTls;
use wattle_model::{Endpoints, Limits};

use super::{
    BLACKHOLE, Entry, Members, Secrets, Wire, assignment, balance, health, identity, limits, outlier,
    protocol, tls,
};
use crate::Scene;
use crate::notes::Notes;
use crate::proto::{ads, duration};

/// Time for a TCP connection to come about, where the policy says nothing.
const CONNECT: Duration = Duration::from_secs(10);

/// A cluster to be written.
pub(super) struct Of<'a> {
    pub(super) base: &'a str,
    pub(super) wire: Wire,
    pub(super) entry: &'a Entry,
    pub(super) scene: &'a Scene<'a>,
    pub(super) secrets: &'a Secrets,
}

impl Of<'_> {
    pub(super) fn message(&self, notes: &mut Notes) -> cluster::Cluster {
        let policy = &*self.entry.policy;
        let mut made = cluster::Cluster {
            name: format!("{}|{}", self.base, self.wire.as_str()),
            circuit_breakers: Some(limits::breakers(policy, notes)),
            outlier_detection: Some(outlier::detection(policy.outliers.as_ref(), notes)),
            typed_extension_protocol_options: protocol::options(policy, self.wire),
            ..connected(&policy.limits)
        };
        match &self.entry.members {
            Members::Dialled => self.dialled(&mut made, notes),
            Members::Known(endpoints) => self.known(&mut made, endpoints, notes),
        }
        self.secure(&mut made, notes);
        made
    }

    fn dialled(&self, made: &mut cluster::Cluster, notes: &mut Notes) {
        if self.entry.policy.health_check.is_some() {
            notes.gap("health checks of addresses as they are dialled: none is asked");
        }
        made.cluster_discovery_type = discovery(DiscoveryType::OriginalDst);
        made.lb_policy = LbPolicy::ClusterProvided.into();
    }

    fn known(&self, made: &mut cluster::Cluster, endpoints: &Endpoints, notes: &mut Notes) {
        let policy = &*self.entry.policy;
        let (kind, config) = balance::chosen(policy, notes);
        made.lb_policy = kind.into();
        made.lb_config = config;
        made.common_lb_config = Some(balance::common(policy, self.scene));
        let checks = policy.health_check.iter();
        made.health_checks = checks
            .map(|check| health::check(check, self.wire, notes))
            .collect();
        if endpoints.names.is_empty() {
            made.cluster_discovery_type = discovery(DiscoveryType::Eds);
            made.eds_cluster_config = Some(EdsClusterConfig {
                eds_config: ads(),
                service_name: self.base.to_owned(),
            });
            return;
        }
        let single = endpoints.names.iter().any(|name| name.single);
        let alone = endpoints.names.len() == 1 && endpoints.endpoints.is_empty();
        if single && !alone {
            notes.gap("several endpoints of which one is a name whose first address alone counts: all of its addresses count");
        }
        made.cluster_discovery_type = discovery(match single && alone {
            true => DiscoveryType::LogicalDns,
            false => DiscoveryType::StrictDns,
        });
        made.dns_lookup_family = DnsLookupFamily::V4Preferred.into();
        made.load_assignment = Some(assignment(&made.name, endpoints, policy, self.scene));
    }

    fn secure(&self, made: &mut cluster::Cluster, notes: &mut Notes) {
        let policy = &*self.entry.policy;
        let endpoints = match &self.entry.members {
            Members::Known(endpoints) => Some(endpoints),
            Members::Dialled => None,
        };
        match &policy.tls {
            UpstreamTls::Disabled => made.transport_socket = Some(tls::plaintext(policy)),
            // An address as it is dialled has no proxy.
            UpstreamTls::Mesh if endpoints.is_none() => made.transport_socket = Some(tls::plaintext(policy)),
            UpstreamTls::Mesh | UpstreamTls::MeshMutual => {
                let peers = endpoints.map(|endpoints| identity::peers(endpoints, &policy.tls));
                let (matches, socket) =
                    tls::mesh(&peers.unwrap_or_default(), policy, self.wire, self.secrets);
                // Without endpoints there is no metadata either, and nothing but a refusal is left.
                made.transport_socket_matches = matches;
                made.transport_socket = Some(socket);
            }
            UpstreamTls::Origination {
                sni,
                names,
                files,
                unverified,
            } => {
                let host = self.entry.host.as_deref().filter(|host| !host.contains('*'));
                let outside = tls::Outside {
                    sni: sni.as_deref().or(host),
                    names,
                    files,
                    unverified: *unverified,
                };
                made.transport_socket = Some(outside.socket(policy, self.wire, notes));
            }
        }
    }
}

/// What every cluster says of its connections.
pub(crate) fn connected(limits: &Limits) -> cluster::Cluster {
    cluster::Cluster {
        connect_timeout: Some(duration(limits.connect_timeout.unwrap_or(CONNECT))),
        upstream_connection_options: limits.keepalive.as_ref().map(|keepalive| {
            cluster::UpstreamConnectionOptions {
                tcp_keepalive: Some(limits::kept_alive(keepalive)),
                ..Default::default()
            }
        }),
        ..Default::default()
    }
}

pub(crate) fn discovery(kind: DiscoveryType) -> Option<ClusterDiscoveryType> {
    Some(ClusterDiscoveryType::Type(kind.into()))
}

/// See [`BLACKHOLE`].
pub(super) fn blackhole() -> cluster::Cluster {
    cluster::Cluster {
        name: BLACKHOLE.to_owned(),
        cluster_discovery_type: discovery(DiscoveryType::Static),
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: BLACKHOLE.to_owned(),
            ..Default::default()
        }),
        ..connected(&Limits::default())
    }
}
