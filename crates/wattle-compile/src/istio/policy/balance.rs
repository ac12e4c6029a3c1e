//! Load balancing of a DestinationRule.

use wattle_api::istio::{
    Algorithm, HashKey as Key, HashRing, LoadBalancer, LocalityBalancing, Warmup as Written,
};
use wattle_model::traffic::{Balance, Distribution, HashKey, HashTable, LocalityPolicy, Warmup};

/// Points of a ring where nobody says (Istio).
const RING: u32 = 1024;

pub(super) fn balance(written: Option<&LoadBalancer>) -> Balance {
    // Unwritten is the mesh's default, which knows latency besides what LEAST_REQUEST knows.
    match written.and_then(|written| written.algorithm.as_ref()) {
        None => Balance::PeakEwma,
        Some(Algorithm::LeastRequest) => Balance::LeastRequest,
        Some(Algorithm::RoundRobin) => Balance::RoundRobin,
        Some(Algorithm::Random) => Balance::Random,
        Some(Algorithm::Passthrough) => Balance::OriginalDestination,
        Some(Algorithm::ConsistentHash(hash)) => match key(&hash.key) {
            Some(key) => Balance::Hash {
                key,
                table: match hash.ring {
                    None => HashTable::Ring(RING),
                    Some(HashRing::Ring(size)) => HashTable::Ring(size),
                    Some(HashRing::Maglev(size)) => HashTable::Maglev(size),
                },
            },
            None => Balance::Random,
        },
    }
}

fn key(written: &Key) -> Option<HashKey> {
    Some(match written {
        Key::HttpHeaderName(name) => HashKey::Header(http::HeaderName::from_bytes(name.as_bytes()).ok()?),
        Key::HttpCookie(cookie) => HashKey::Cookie {
            name: cookie.name.as_str().into(),
            path: cookie.path.as_deref().unwrap_or("/").into(),
            ttl: cookie.ttl,
        },
        Key::SourceIp => HashKey::SourceAddress,
        Key::HttpQueryParameterName(name) => HashKey::Query(name.as_str().into()),
    })
}

pub(super) fn warmup(written: &Written) -> Warmup {
    let percent = written
        .minimum_percent
        .map(|share| f64::from(share.parts_per_million()) / 10_000.0);
    let aggression = written
        .aggression
        .map(|factor| f64::from(factor.thousandths()) / 1_000.0);
    Warmup {
        duration: written.duration,
        minimum_percent: percent.unwrap_or(10.0),
        aggression: aggression.unwrap_or(1.0),
    }
}

/// Near endpoints first only where that is written: Istio's way of turning it on as a side effect of outlier detection
/// has to be asked for.
pub(super) fn locality(written: Option<&LoadBalancer>, detects: bool, as_istio: bool) -> LocalityPolicy {
    let Some(written) = written.and_then(|written| written.locality_lb_setting.as_ref()) else {
        return LocalityPolicy {
            failover: as_istio && detects,
            ..LocalityPolicy::default()
        };
    };
    if written.enabled == Some(false) {
        return LocalityPolicy::default();
    }
    LocalityPolicy {
        failover: detects,
        distribute: distribute(written),
        regions: written
            .failover
            .iter()
            .map(|one| (one.from.as_str().into(), one.to.as_str().into()))
            .collect(),
        labels: if detects { labels(written) } else { Vec::new() },
    }
}

fn distribute(written: &LocalityBalancing) -> Vec<Distribution> {
    let each = written.distribute.iter().map(|one| Distribution {
        from: one.from.as_str().into(),
        to: one
            .to
            .iter()
            .map(|(to, share)| (to.as_str().into(), *share))
            .collect(),
    });
    each.collect()
}

fn labels(written: &LocalityBalancing) -> Vec<(std::sync::Arc<str>, Option<std::sync::Arc<str>>)> {
    let label = |text: &String| match text.split_once('=') {
        Some((key, value)) => (key.into(), Some(value.into())),
        None => (text.as_str().into(), None),
    };
    written.failover_priority.iter().map(label).collect()
}
