//! How an endpoint is chosen.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded};
use crate::scalar;

use super::consistent_hash::{ConsistentHash, consistent_hash};
use super::locality::{LocalityBalancing, locality_balancing};
use super::time::{time, write_time};
use super::value::{self, Factor, Percentage, at_most_one};

/// How an endpoint is chosen; a field that is none was not written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// By what rule; none means LEAST_REQUEST.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// Which localities are preferred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality_lb_setting: Option<LocalityBalancing>,
    /// How new endpoints are eased in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<Warmup>,
}

/// By what rule an endpoint is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Algorithm {
    /// The one with fewer requests under way, of two.
    LeastRequest,
    /// One after the other.
    RoundRobin,
    /// Any.
    Random,
    /// The address the client dialled, without choosing.
    Passthrough,
    /// The same one for the same key.
    ConsistentHash(ConsistentHash),
}

impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let simple = match self {
            Self::LeastRequest => "LEAST_REQUEST",
            Self::RoundRobin => "ROUND_ROBIN",
            Self::Random => "RANDOM",
            Self::Passthrough => "PASSTHROUGH",
            Self::ConsistentHash(hash) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("consistentHash", hash)?;
                return map.end();
            }
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("simple", simple)?;
        map.end()
    }
}

/// How new endpoints are eased in; only LEAST_REQUEST and ROUND_ROBIN do so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Warmup {
    /// For how long, from 1 ms.
    #[serde(serialize_with = "write_time")]
    pub duration: Duration,
    /// Share of its weight that an endpoint starts with; none means 10 percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_percent: Option<Percentage>,
    /// How steeply the share grows; none means 1, which is evenly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggression: Option<Factor>,
}

pub(crate) fn load_balancer(cursor: &Cursor<'_>) -> Decoded<LoadBalancer> {
    let fields = cursor.fields(&[
        "simple",
        "consistentHash",
        "localityLbSetting",
        "zoneAwareLbSetting",
        "warmup",
        "warmupDurationSecs",
    ])?;
    at_most_one(&fields, &["simple", "consistentHash"])?;
    at_most_one(&fields, &["warmup", "warmupDurationSecs"])?;
    fields.without_effect(&["zoneAwareLbSetting"]);
    let simple = fields.optional("simple", simple);
    let hash = fields.optional("consistentHash", consistent_hash);
    let locality = fields.optional("localityLbSetting", locality_balancing);
    let warmup = fields.optional("warmup", warmup);
    let old = fields.optional("warmupDurationSecs", old_warmup);
    let balancer = LoadBalancer {
        algorithm: simple?.flatten().or(hash?.map(Algorithm::ConsistentHash)),
        locality_lb_setting: locality?,
        warmup: warmup?.or(old?),
    };
    let eases = matches!(
        balancer.algorithm,
        None | Some(Algorithm::LeastRequest | Algorithm::RoundRobin)
    );
    if balancer.warmup.is_some() && !eases {
        let reason = "warmup needs LEAST_REQUEST or ROUND_ROBIN";
        let written = fields.at("warmup").or_else(|| fields.at("warmupDurationSecs"));
        let at = written.as_ref().unwrap_or(cursor);
        at.warn("no-effect", reason, "remove warmup or choose one of them");
    }
    Ok(balancer)
}

fn simple(cursor: &Cursor<'_>) -> Decoded<Option<Algorithm>> {
    let known = [
        "UNSPECIFIED",
        "LEAST_REQUEST",
        "LEAST_CONN",
        "ROUND_ROBIN",
        "RANDOM",
        "PASSTHROUGH",
    ];
    Ok(Some(
        match scalar::word(cursor, &known.map(|name| (name, name)))? {
            "UNSPECIFIED" => return Ok(None),
            "LEAST_CONN" => {
                cursor.warn(
                    "deprecated-value",
                    "LEAST_CONN is deprecated",
                    "write LEAST_REQUEST",
                );
                Algorithm::LeastRequest
            }
            "ROUND_ROBIN" => Algorithm::RoundRobin,
            "RANDOM" => Algorithm::Random,
            "PASSTHROUGH" => Algorithm::Passthrough,
            _ => Algorithm::LeastRequest,
        },
    ))
}

fn warmup(cursor: &Cursor<'_>) -> Decoded<Warmup> {
    let fields = cursor.fields(&["duration", "minimumPercent", "aggression"])?;
    let duration = fields.required("duration", time);
    let minimum_percent = fields.optional("minimumPercent", value::percentage);
    let aggression = fields.optional("aggression", value::factor);
    Ok(Warmup {
        duration: duration?,
        minimum_percent: minimum_percent?,
        aggression: aggression?,
    })
}

fn old_warmup(cursor: &Cursor<'_>) -> Decoded<Warmup> {
    cursor.warn(
        "deprecated-field",
        "the field is deprecated",
        "write warmup.duration",
    );
    Ok(Warmup {
        duration: time(cursor)?,
        minimum_percent: None,
        aggression: None,
    })
}
