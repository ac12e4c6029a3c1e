//! Opaque connections: where they go, by weight.

use std::time::Duration;

use envoy_types::pb::envoy::config::listener::v3::Filter;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as xds;
use envoy_types::pb::envoy::r#type::v3::{HashPolicy, hash_policy};
use wattle_model::traffic::{Balance, HashKey, Tunnel};
use wattle_model::{Backend, WeightedBackend};
use xds::tcp_proxy::{ClusterSpecifier, TunnelingConfig, WeightedCluster, weighted_cluster::ClusterWeight};

use super::network_filter;
use crate::cluster::{BLACKHOLE, Wire};
use crate::proto::{duration, number};
use crate::route::Facing;

/// Time without a byte after which a connection is closed, where the policy says nothing.
const IDLE: Duration = Duration::from_secs(3600);
/// Endpoints tried for one connection.
const TRIES: u32 = 3;

/// What a backend's policy says of the connections that are carried to it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Carrying {
    idle: Option<Duration>,
    life: Option<Duration>,
    tunnel: Option<Tunnel>,
    by_source: bool,
}

impl Carrying {
    fn of(backend: &Backend) -> Self {
        let policy = &backend.policy;
        Self {
            idle: policy.limits.tcp_idle,
            life: policy.limits.connection_life,
            tunnel: policy.tunnel.clone(),
            by_source: matches!(
                policy.balance,
                Balance::Hash {
                    key: HashKey::SourceAddress,
                    ..
                }
            ),
        }
    }
}

/// To one cluster, as if no policy spoke of it.
pub(super) fn to(cluster: &str) -> Filter {
    filter(&proxy(
        ClusterSpecifier::Cluster(cluster.to_owned()),
        &Carrying::default(),
    ))
}

pub(super) fn filter(proxy: &xds::TcpProxy) -> Filter {
    network_filter("envoy.filters.network.tcp_proxy", proxy)
}

/// To one cluster, without a limit of Envoy's own but the idle time.
pub(super) fn plain(cluster: &str) -> xds::TcpProxy {
    proxy(
        ClusterSpecifier::Cluster(cluster.to_owned()),
        &Carrying::default(),
    )
}

impl Facing<'_, '_> {
    /// To the default backend.
    pub(super) fn default_connection(&mut self) -> Filter {
        let index = self.destination.default_backend;
        let found = index.and_then(|index| self.destination.backend(index).zip(Some(index)));
        let Some((backend, index)) = found else {
            return to(BLACKHOLE);
        };
        match self.clusters.name(self.destination, index, Wire::Opaque) {
            Some(cluster) => filter(&proxy(ClusterSpecifier::Cluster(cluster), &Carrying::of(backend))),
            None => to(BLACKHOLE),
        }
    }

    /// To these by weight; what cannot be resolved is refused.
    pub(super) fn connection(&mut self, backends: &[WeightedBackend]) -> Filter {
        let mut carrying = Vec::new();
        let mut clusters = Vec::new();
        for weighted in backends.iter().filter(|weighted| weighted.weight > 0) {
            let backend = weighted.backend.and_then(|index| self.destination.backend(index));
            let name = weighted
                .backend
                .and_then(|index| self.clusters.name(self.destination, index, Wire::Opaque));
            carrying.extend(backend.map(Carrying::of));
            clusters.push(ClusterWeight {
                name: name.unwrap_or_else(|| BLACKHOLE.to_owned()),
                weight: weighted.weight,
                ..Default::default()
            });
        }
        let Some(first) = carrying.first() else {
            return to(BLACKHOLE);
        };
        if carrying.iter().any(|other| other.tunnel != first.tunnel) {
            self.notes
                .gap("connections by weight to backends of which some are behind a tunnel: they are refused");
            return to(BLACKHOLE);
        }
        if carrying.iter().any(|other| other != first) {
            self.notes.gap(
                "connections by weight to backends with different time limits or hashes: those of the first count for all",
            );
        }
        let specifier = match &clusters[..] {
            [only] => ClusterSpecifier::Cluster(only.name.clone()),
            _ => ClusterSpecifier::WeightedClusters(WeightedCluster { clusters }),
        };
        filter(&proxy(specifier, first))
    }
}

fn proxy(to: ClusterSpecifier, carrying: &Carrying) -> xds::TcpProxy {
    let by_source = HashPolicy {
        policy_specifier: Some(hash_policy::PolicySpecifier::SourceIp(hash_policy::SourceIp {})),
    };
    xds::TcpProxy {
        stat_prefix: "tcp".to_owned(),
        cluster_specifier: Some(to),
        idle_timeout: Some(duration(carrying.idle.unwrap_or(IDLE))),
        max_downstream_connection_duration: carrying.life.map(duration),
        max_connect_attempts: number(TRIES),
        hash_policy: carrying.by_source.then_some(by_source).into_iter().collect(),
        tunneling_config: carrying.tunnel.as_ref().map(tunnel),
        ..Default::default()
    }
}

fn tunnel(tunnel: &Tunnel) -> TunnelingConfig {
    let host = match tunnel.host.contains(':') {
        true => format!("[{}]", tunnel.host),
        false => tunnel.host.to_string(),
    };
    TunnelingConfig {
        hostname: format!("{host}:{}", tunnel.port),
        use_post: tunnel.post,
        ..Default::default()
    }
}
