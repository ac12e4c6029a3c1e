//! Backends as gRPC balances over them. One cluster is dialled in one way: by mutual TLS where the program has
//! certificates and any endpoint asks for it, else in the clear to those who take it.

use std::sync::Arc;

use cluster::cluster::{DiscoveryType, EdsClusterConfig, LbConfig, LbPolicy, RingHashLbConfig};
use envoy_types::pb::envoy::config::cluster::v3 as cluster;
use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use tls::common_tls_context::ValidationContextType;
use wattle_model::traffic::{Balance, OutlierDetection, UpstreamTls};
use wattle_model::{BackendPolicy, Endpoint, Endpoints, Hop, Limits};

use crate::cluster::{Entry, Members, Wire, assignment, bounded, discovery, spiffe};
use crate::notes::{Notes, Output};
use crate::proto::{ads, duration, long, number, transport_socket};
use crate::text::exact;
use crate::{Kind, Scene};

/// A backend to be written.
pub(super) struct Of<'a> {
    pub(super) base: &'a str,
    pub(super) entry: &'a Entry,
    pub(super) scene: &'a Scene<'a>,
    pub(super) certificates: Option<&'a str>,
}

/// How the endpoints of a backend are dialled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Clear,
    MutualTls,
}

impl Of<'_> {
    pub(super) fn write(&self, output: &mut Output, notes: &mut Notes) {
        let policy = &*self.entry.policy;
        let known = match &self.entry.members {
            Members::Known(endpoints) => Arc::clone(endpoints),
            Members::Dialled => {
                notes.gap("gRPC dials no address but those of a backend: calls fail");
                Arc::default()
            }
        };
        let way = self.way(&known, notes);
        let reached = reached(&known, way, policy, notes);
        let (kind, config) = balanced(policy, notes);
        note(policy, notes);
        let made = cluster::Cluster {
            name: format!("{}|{}", self.base, Wire::Http2.as_str()),
            cluster_discovery_type: discovery(DiscoveryType::Eds),
            eds_cluster_config: Some(EdsClusterConfig {
                eds_config: ads(),
                service_name: self.base.to_owned(),
            }),
            lb_policy: kind.into(),
            lb_config: config,
            circuit_breakers: breakers(&policy.limits),
            outlier_detection: policy
                .outliers
                .as_ref()
                .and_then(|outliers| detected(outliers, notes)),
            transport_socket: self
                .certificates
                .filter(|_| way == Way::MutualTls)
                .map(|by| socket(by, &reached)),
            ..Default::default()
        };
        output.add(Kind::Cluster, &made.name.clone(), &made);
        output.add(
            Kind::Endpoints,
            self.base,
            &assignment(self.base, &reached, policy, self.scene),
        );
    }

    fn way(&self, known: &Endpoints, notes: &mut Notes) -> Way {
        let asks = |endpoint: &Endpoint| match self.entry.policy.tls {
            UpstreamTls::Mesh => endpoint.hop == Hop::MutualTls,
            UpstreamTls::MeshMutual => true,
            UpstreamTls::Disabled | UpstreamTls::Origination { .. } => false,
        };
        match (known.endpoints.iter().any(asks), self.certificates) {
            (true, Some(_)) => Way::MutualTls,
            (true, None) => {
                notes.gap("endpoints that ask for mutual TLS, and a program without certificates: they are not called");
                Way::Clear
            }
            (false, _) => Way::Clear,
        }
    }
}

/// The endpoints that take it; the others would be called in a way that they, or the mesh, refuse.
fn reached(known: &Endpoints, way: Way, policy: &BackendPolicy, notes: &mut Notes) -> Endpoints {
    let takes = |endpoint: &&Endpoint| match (way, &policy.tls) {
        (_, UpstreamTls::Origination { .. }) => false,
        (Way::Clear, UpstreamTls::Disabled) => true,
        (Way::Clear, _) => endpoint.hop == Hop::Plaintext && policy.tls != UpstreamTls::MeshMutual,
        (Way::MutualTls, UpstreamTls::MeshMutual) => spiffe(&endpoint.workload).is_some(),
        (Way::MutualTls, _) => endpoint.hop == Hop::MutualTls && spiffe(&endpoint.workload).is_some(),
    };
    let endpoints: Vec<_> = known.endpoints.iter().filter(takes).cloned().collect();
    if matches!(policy.tls, UpstreamTls::Origination { .. }) {
        notes.gap(
            "TLS of the outside world: gRPC takes certificates of its providers alone, and nothing is called",
        );
    } else if endpoints.len() < known.endpoints.len() && way == Way::MutualTls {
        notes.gap("endpoints with and without mutual TLS in one backend: those without are not called");
    }
    if !known.names.is_empty() {
        notes.gap("endpoints that are names: they are not called");
    }
    Endpoints {
        id: Arc::clone(&known.id),
        endpoints,
        names: Vec::new(),
    }
}

/// A certificate, or roots, of a provider of the program's bootstrap.
pub(super) fn instance(by: &str, name: &str) -> Option<tls::CertificateProviderPluginInstance> {
    Some(tls::CertificateProviderPluginInstance {
        instance_name: by.to_owned(),
        certificate_name: name.to_owned(),
    })
}

#[expect(deprecated, reason = "gRPC reads the names from this field (gRFC A29)")]
fn socket(by: &str, endpoints: &Endpoints) -> TransportSocket {
    let mut names: Vec<String> = endpoints
        .endpoints
        .iter()
        .filter_map(|one| spiffe(&one.workload))
        .collect();
    names.sort_unstable();
    names.dedup();
    let validation = tls::CertificateValidationContext {
        ca_certificate_provider_instance: instance(by, "ROOTCA"),
        match_subject_alt_names: names.iter().map(|name| exact(name)).collect(),
        ..Default::default()
    };
    let context = tls::UpstreamTlsContext {
        common_tls_context: Some(tls::CommonTlsContext {
            tls_certificate_provider_instance: instance(by, "default"),
            validation_context_type: Some(ValidationContextType::ValidationContext(validation)),
            ..Default::default()
        }),
        ..Default::default()
    };
    transport_socket("envoy.transport_sockets.tls", &context)
}

fn balanced(policy: &BackendPolicy, notes: &mut Notes) -> (LbPolicy, Option<LbConfig>) {
    match &policy.balance {
        Balance::Hash { .. } => {
            let ring = RingHashLbConfig {
                minimum_ring_size: long(1024),
                ..Default::default()
            };
            (LbPolicy::RingHash, Some(LbConfig::RingHashLbConfig(ring)))
        }
        Balance::PeakEwma | Balance::RoundRobin => (LbPolicy::RoundRobin, None),
        Balance::LeastRequest | Balance::Random | Balance::OriginalDestination => {
            notes.gap("gRPC balances in turn or by hash: calls go in turn");
            (LbPolicy::RoundRobin, None)
        }
    }
}

fn note(policy: &BackendPolicy, notes: &mut Notes) {
    let bounds = Limits {
        requests: None,
        ..policy.limits.clone()
    };
    let unknown = [
        (bounds != Limits::default(), "limits of connections"),
        (policy.warmup.is_some(), "warmup"),
        (policy.health_check.is_some(), "health checks"),
        (policy.proxy_protocol.is_some(), "the PROXY protocol"),
        (policy.retry_budget.is_some(), "a retry budget"),
    ];
    for (_, what) in unknown.iter().filter(|(asked, _)| *asked) {
        notes.gap(format!("gRPC cannot be told of {what}: not kept"));
    }
}

fn breakers(limits: &Limits) -> Option<cluster::CircuitBreakers> {
    let requests = limits.requests?;
    let bounds = bounded(&Limits {
        requests: Some(requests),
        ..Limits::default()
    });
    Some(cluster::CircuitBreakers {
        thresholds: vec![bounds],
        ..Default::default()
    })
}

/// gRPC knows the statistical kinds alone (gRFC A50).
fn detected(outliers: &OutlierDetection, notes: &mut Notes) -> Option<cluster::OutlierDetection> {
    let rows = outliers
        .consecutive_5xx
        .or(outliers.consecutive_gateway)
        .or(outliers.consecutive_local);
    if rows.is_some() || outliers.accrual.is_some() {
        notes.gap(
            "gRPC takes endpoints out by success rate and failure percentage alone: not by failures in a row",
        );
    }
    let enforced = |kind: Option<u32>| number(if kind.is_some() { 100 } else { 0 });
    outliers
        .success_rate_stdev_thousandths
        .or(outliers.failure_percent)?;
    Some(cluster::OutlierDetection {
        interval: Some(duration(outliers.interval)),
        base_ejection_time: Some(duration(outliers.base_ejection)),
        max_ejection_time: Some(duration(outliers.max_ejection)),
        max_ejection_percent: number(outliers.max_ejection_percent.min(100)),
        success_rate_stdev_factor: outliers.success_rate_stdev_thousandths.and_then(number),
        enforcing_success_rate: enforced(outliers.success_rate_stdev_thousandths),
        success_rate_minimum_hosts: number(outliers.minimum_hosts),
        success_rate_request_volume: outliers.minimum_requests.and_then(number),
        failure_percentage_threshold: outliers.failure_percent.and_then(|part| number(part.min(100))),
        enforcing_failure_percentage: enforced(outliers.failure_percent),
        failure_percentage_minimum_hosts: number(outliers.minimum_hosts),
        failure_percentage_request_volume: outliers.minimum_requests.and_then(number),
        ..Default::default()
    })
}
