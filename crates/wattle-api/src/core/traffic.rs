//! What a Service says about which of its endpoints a client should use.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::decode::{Decoded, Fields};
use crate::scalar;

/// Fields of a Service that are read here.
pub(super) const FIELDS: [&str; 5] = [
    "internalTrafficPolicy",
    "publishNotReadyAddresses",
    "sessionAffinity",
    "sessionAffinityConfig",
    "trafficDistribution",
];
/// Longest time a client keeps its endpoint (Kubernetes): a day.
const MAX_AFFINITY_SECS: u32 = 86_400;

/// Which endpoints a client should use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceTraffic {
    /// Whether only endpoints of the client's own node count (`internalTrafficPolicy: Local`); default false.
    pub only_same_node: bool,
    /// Whether endpoints that are not ready count; default false.
    pub publish_not_ready_addresses: bool,
    /// Seconds for which a client address keeps its endpoint (`sessionAffinity: ClientIP`), 1 to 86,400, there
    /// 10,800 by default; none means that it does not.
    pub client_affinity_secs: Option<u32>,
    /// Which endpoints are preferred; none means all alike.
    pub distribution: Option<TrafficDistribution>,
}

/// Which endpoints are preferred while there are enough of them (`trafficDistribution`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum TrafficDistribution {
    /// Those of the client's zone; `PreferClose` is its older name.
    PreferSameZone,
    /// Those of the client's node, then those of its zone.
    PreferSameNode,
}

impl Serialize for ServiceTraffic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.only_same_node {
            map.serialize_entry("internalTrafficPolicy", "Local")?;
        }
        if self.publish_not_ready_addresses {
            map.serialize_entry("publishNotReadyAddresses", &true)?;
        }
        if let Some(secs) = self.client_affinity_secs {
            let config = serde_json::json!({ "clientIP": { "timeoutSeconds": secs } });
            map.serialize_entry("sessionAffinity", "ClientIP")?;
            map.serialize_entry("sessionAffinityConfig", &config)?;
        }
        if let Some(distribution) = self.distribution {
            map.serialize_entry("trafficDistribution", &distribution)?;
        }
        map.end()
    }
}

pub(super) fn traffic(fields: &Fields<'_>) -> Decoded<ServiceTraffic> {
    let policies = [("Cluster", false), ("Local", true)];
    let distributions = [
        ("PreferSameZone", TrafficDistribution::PreferSameZone),
        ("PreferClose", TrafficDistribution::PreferSameZone),
        ("PreferSameNode", TrafficDistribution::PreferSameNode),
    ];
    let local = fields.optional("internalTrafficPolicy", |at| scalar::word(at, &policies));
    let publish = fields.optional("publishNotReadyAddresses", scalar::flag);
    let affinity = affinity(fields);
    let distribution = fields.optional("trafficDistribution", |at| scalar::word(at, &distributions));
    Ok(ServiceTraffic {
        only_same_node: local?.unwrap_or(false),
        publish_not_ready_addresses: publish?.unwrap_or(false),
        client_affinity_secs: affinity?,
        distribution: distribution?,
    })
}

fn affinity(fields: &Fields<'_>) -> Decoded<Option<u32>> {
    let affinities = [("None", false), ("ClientIP", true)];
    let by_client = fields.optional("sessionAffinity", |at| scalar::word(at, &affinities));
    let timeout = fields.optional("sessionAffinityConfig", |at| {
        let config = at.fields(&["clientIP"])?;
        config.optional("clientIP", |at| {
            let client = at.fields(&["timeoutSeconds"])?;
            client.optional("timeoutSeconds", |at| scalar::count(at, 1, MAX_AFFINITY_SECS))
        })
    });
    let timeout = timeout?.flatten().flatten();
    if by_client?.unwrap_or(false) {
        return Ok(Some(timeout.unwrap_or(10_800)));
    }
    match fields.at("sessionAffinityConfig") {
        Some(at) => Err(at.refuse_with(
            "incompatible-fields",
            "found a config, but sessionAffinity is not ClientIP",
            "remove it",
        )),
        None => Ok(None),
    }
}
