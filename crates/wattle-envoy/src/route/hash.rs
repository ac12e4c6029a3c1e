//! What a request is hashed by.

use envoy_types::pb::envoy::config::route::v3::route_action::{self, hash_policy};
use wattle_model::traffic::HashKey;

use crate::proto::duration;

/// Is it a header that is hashed?
pub(crate) fn hashed_by_header(key: &HashKey) -> bool {
    matches!(key, HashKey::Header(_))
}

/// The key as a route has it.
pub(super) fn hashed(key: Option<&HashKey>) -> Vec<route_action::HashPolicy> {
    use hash_policy::PolicySpecifier as By;
    let Some(key) = key else { return Vec::new() };
    let by = match key {
        HashKey::Header(name) => By::Header(hash_policy::Header {
            header_name: name.as_str().to_owned(),
            ..Default::default()
        }),
        HashKey::Cookie { name, path, ttl } => By::Cookie(hash_policy::Cookie {
            name: name.to_string(),
            path: path.to_string(),
            ttl: ttl.map(duration),
            ..Default::default()
        }),
        HashKey::SourceAddress => {
            By::ConnectionProperties(hash_policy::ConnectionProperties { source_ip: true })
        }
        HashKey::Query(name) => By::QueryParameter(hash_policy::QueryParameter {
            name: name.to_string(),
        }),
    };
    vec![route_action::HashPolicy {
        policy_specifier: Some(by),
        ..Default::default()
    }]
}
