//! How an endpoint is chosen.

use cluster::cluster::common_lb_config::{LocalityConfigSpecifier, LocalityWeightedLbConfig};
use cluster::cluster::{CommonLbConfig, LbConfig, LbPolicy, SlowStartConfig};
use envoy_types::pb::envoy::config::cluster::v3 as cluster;
use envoy_types::pb::envoy::config::core::v3::RuntimeDouble;
use wattle_model::BackendPolicy;
use wattle_model::traffic::{Balance, HashTable, Warmup};

use crate::Scene;
use crate::notes::Notes;
use crate::proto::{duration, long, number, percent};

/// Points of a ring in all, where the policy asks for fewer at least.
const RING_POINTS: u32 = 65_536;
/// Most points and entries Envoy takes.
const MAX_RING: u32 = 8_388_608;
const MAX_MAGLEV: u32 = 5_000_011;

/// The kind of load balancer, and its settings.
pub(super) fn chosen(policy: &BackendPolicy, notes: &mut Notes) -> (LbPolicy, Option<LbConfig>) {
    if policy.warmup.is_some() && !warms(&policy.balance) {
        notes.gap("warmup is for LEAST_REQUEST, ROUND_ROBIN and the default; new endpoints get their whole share at once");
    }
    let warmup = policy.warmup.as_ref().map(warmed);
    match &policy.balance {
        Balance::PeakEwma | Balance::LeastRequest => {
            let config = cluster::cluster::LeastRequestLbConfig {
                choice_count: number(2),
                slow_start_config: warmup,
                ..Default::default()
            };
            (
                LbPolicy::LeastRequest,
                Some(LbConfig::LeastRequestLbConfig(config)),
            )
        }
        // One address alone.
        Balance::RoundRobin | Balance::OriginalDestination => {
            let config = cluster::cluster::RoundRobinLbConfig {
                slow_start_config: warmup,
            };
            (LbPolicy::RoundRobin, Some(LbConfig::RoundRobinLbConfig(config)))
        }
        Balance::Random => (LbPolicy::Random, None),
        Balance::Hash {
            table: HashTable::Ring(points),
            ..
        } => {
            let points = (*points).clamp(1, MAX_RING);
            let config = cluster::cluster::RingHashLbConfig {
                minimum_ring_size: long(points.into()),
                maximum_ring_size: long(points.max(RING_POINTS).into()),
                ..Default::default()
            };
            (LbPolicy::RingHash, Some(LbConfig::RingHashLbConfig(config)))
        }
        Balance::Hash {
            table: HashTable::Maglev(size),
            ..
        } => {
            let config = cluster::cluster::MaglevLbConfig {
                table_size: long((*size).clamp(2, MAX_MAGLEV).into()),
            };
            (LbPolicy::Maglev, Some(LbConfig::MaglevLbConfig(config)))
        }
    }
}

fn warms(balance: &Balance) -> bool {
    matches!(
        balance,
        Balance::PeakEwma | Balance::LeastRequest | Balance::RoundRobin
    )
}

fn warmed(warmup: &Warmup) -> SlowStartConfig {
    SlowStartConfig {
        slow_start_window: Some(duration(warmup.duration)),
        aggression: Some(RuntimeDouble {
            default_value: warmup.aggression,
            runtime_key: "wattle.warmup.aggression".to_owned(),
        }),
        min_weight_percent: percent(warmup.minimum_percent),
    }
}

/// What counts for every kind: when all endpoints are used, and weights by locality.
pub(super) fn common(policy: &BackendPolicy, scene: &Scene<'_>) -> CommonLbConfig {
    let panic = match &policy.outliers {
        // With every endpoint out all of them are asked again; Envoy's least threshold says the same.
        None => 1,
        Some(outliers) if outliers.accrual.is_some() => 0,
        Some(outliers) => outliers.minimum_health_percent,
    };
    // Every place of one backend has a group where weights are by locality, and none has one elsewhere.
    let place = policy.locality.places(scene.locality, scene.labels, &[probe()]);
    let weighted = place.iter().any(|place| place.group.is_some());
    CommonLbConfig {
        healthy_panic_threshold: percent(panic.into()),
        locality_config_specifier: weighted.then_some(LocalityConfigSpecifier::LocalityWeightedLbConfig(
            LocalityWeightedLbConfig {},
        )),
        ..Default::default()
    }
}

/// Any endpoint: it is asked about only whether it belongs to a group.
fn probe() -> wattle_model::Endpoint {
    wattle_model::Endpoint {
        address: ([0, 0, 0, 0], 0).into(),
        weight: 1,
        health: Default::default(),
        locality: Default::default(),
        hop: wattle_model::Hop::Plaintext,
        workload: Default::default(),
        labels: Vec::new(),
    }
}
