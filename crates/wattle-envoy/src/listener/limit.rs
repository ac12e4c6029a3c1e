//! How many requests a workload takes.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::http::local_ratelimit::v3::LocalRateLimit;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use envoy_types::pb::envoy::r#type::v3::TokenBucket;
use wattle_model::{Allowance, Chance, Inbound, RateLimit};

use super::hcm::http_filter;
use crate::notes::Notes;
use crate::proto::{duration, number, runtime_fraction};

/// Envoy fills a bucket no more often.
const FILL: Duration = Duration::from_millis(50);

/// The limits that Envoy can keep on this port, each by a filter of its own.
pub(super) fn filters(inbound: &Inbound, port: Option<u16>) -> Vec<HttpFilter> {
    let kept = inbound.rate_limits.iter().enumerate();
    kept.filter_map(|(index, limit)| {
        let bucket = bucket(limit, port)?;
        Some(http_filter(&format!("wattle.rate_limit.{index}"), &local(bucket)))
    })
    .collect()
}

/// Writes down those that it cannot.
pub(super) fn note(inbound: &Inbound, port: Option<u16>, notes: &mut Notes) {
    let lost = inbound
        .rate_limits
        .iter()
        .filter(|limit| concerns(limit, port) && bucket(limit, port).is_none());
    for limit in lost {
        notes.at(Some(&limit.origin), &Arc::clone(&inbound.name));
        notes.gap("a rate limit for some requests or callers, for each caller by itself, or counted by a service: not kept");
    }
}

fn concerns(limit: &RateLimit, port: Option<u16>) -> bool {
    limit.ports.is_empty() || port.is_none_or(|port| limit.ports.contains(&port))
}

fn bucket(limit: &RateLimit, port: Option<u16>) -> Option<TokenBucket> {
    let here = limit.ports.is_empty() || port.is_some_and(|port| limit.ports.contains(&port));
    let for_all = limit.matches.is_empty() && limit.clients.is_empty() && limit.except.is_empty();
    match &limit.allowance {
        Allowance::Local {
            requests,
            per,
            burst,
            by_identity: false,
        } if here && for_all => Some(filled(*requests, *per, *burst)),
        Allowance::Local { .. } | Allowance::Global(_) => None,
    }
}

/// One token as often as the limit allows, several at once where that is more often than Envoy fills.
fn filled(requests: u32, per: Duration, burst: u32) -> TokenBucket {
    let requests = requests.max(1);
    let each = per / requests;
    let interval = each.max(FILL);
    let tokens = (interval.as_secs_f64() / each.as_secs_f64().max(1e-9))
        .round()
        .clamp(1.0, f64::from(u32::MAX));
    TokenBucket {
        max_tokens: burst.max(tokens as u32),
        tokens_per_fill: number(tokens as u32),
        fill_interval: Some(duration(interval)),
    }
}

fn local(bucket: TokenBucket) -> LocalRateLimit {
    LocalRateLimit {
        stat_prefix: "rate_limit".to_owned(),
        token_bucket: Some(bucket),
        filter_enabled: runtime_fraction(Chance::ALWAYS),
        filter_enforced: runtime_fraction(Chance::ALWAYS),
        ..Default::default()
    }
}
