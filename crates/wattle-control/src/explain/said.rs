//! What a rule or a backend's policy does, one line each.

use wattle_model::traffic::{
    Balance, HashKey, HashTable, LocalityPolicy, OutlierDetection, RetryBudget, UpstreamTls,
};
use wattle_model::{
    Abort, BackendPolicy, Fault, Filters, HeaderModifier, Limits, PathRewrite, RetryPolicy, RouteRule,
    SessionCarrier,
};

/// Filters.
pub(super) fn filters(filters: &Filters) -> Vec<String> {
    let mut said = Vec::new();
    modifier(&filters.request_headers, "request", &mut said);
    modifier(&filters.response_headers, "response", &mut said);
    let host = filters.rewrite.host.as_ref();
    said.extend(host.map(|host| format!("host becomes {host}")));
    said.extend(filters.rewrite.path.as_ref().map(rewrite));
    said.extend(filters.mirrors.iter().map(|mirror| {
        let percent = f64::from(mirror.chance.millionths()) / 10_000.0;
        let lost = if mirror.backend.is_none() {
            ", which cannot be found"
        } else {
            ""
        };
        format!("{percent}% are copied to {}{lost}", mirror.written)
    }));
    if let Some(cors) = &filters.cors {
        let origins: Vec<_> = cors.origins.iter().map(ToString::to_string).collect();
        said.push(format!(
            "other origins that may call (CORS): {}",
            origins.join(", ")
        ));
    }
    said.extend(filters.fault.iter().flat_map(fault));
    said
}

fn rewrite(path: &PathRewrite) -> String {
    match path {
        PathRewrite::Full(path) => format!("path becomes {path}"),
        PathRewrite::Prefix(prefix) => format!("matched prefix becomes {prefix}"),
        PathRewrite::Matched(new) => format!("what matched becomes {new}"),
        PathRewrite::Regex(substitution) => format!(
            "what matches {} in the path becomes {}",
            substitution.pattern(),
            substitution.replacement()
        ),
    }
}

fn fault(fault: &Fault) -> Vec<String> {
    let percent = |chance: wattle_model::Chance| f64::from(chance.millionths()) / 10_000.0;
    let delay = fault
        .delay
        .map(|(chance, delay)| format!("{}% are delayed by {delay:?}", percent(chance)));
    let abort = fault.abort.map(|(chance, abort)| match abort {
        Abort::Http(status) => format!("{}% are answered with {status}", percent(chance)),
        Abort::Grpc(status) => format!("{}% are answered with gRPC status {status}", percent(chance)),
    });
    delay.into_iter().chain(abort).collect()
}

fn modifier(modifier: &HeaderModifier, side: &str, said: &mut Vec<String>) {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let removed = modifier
        .remove
        .iter()
        .map(|name| format!("{side} header {name} is removed"));
    said.extend(removed);
    let set = modifier.set.iter();
    said.extend(set.map(|(name, value)| format!("{side} header {name} is set to {:?}", text(value))));
    let add = modifier.add.iter();
    said.extend(add.map(|(name, value)| format!("{side} header {name} gets {:?} added", text(value))));
}

/// Time limits, repetitions and sessions of a rule.
pub(super) fn limits(rule: &RouteRule) -> Vec<String> {
    let timeouts = [
        ("whole exchange", rule.timeouts.request),
        ("each try", rule.timeouts.backend_request),
        ("response", rule.timeouts.response),
        ("idle", rule.timeouts.idle),
    ];
    let timeouts = timeouts
        .iter()
        .filter_map(|(what, limit)| limit.map(|limit| format!("{what} {limit:?}")));
    let retry = rule.retry.as_ref().map(|policy| retry(policy));
    let session = rule.session.as_ref().map(|session| match &session.carrier {
        SessionCarrier::Cookie { name, .. } => format!("sessions stay with an endpoint by cookie {name}"),
        SessionCarrier::Header(name) => format!("sessions stay with an endpoint by header {name}"),
    });
    timeouts.chain(retry).chain(session).collect()
}

fn retry(policy: &RetryPolicy) -> String {
    let mut on = Vec::new();
    let conditions = policy.on.conditions;
    for (name, holds) in [
        ("connect failure", conditions.connect_failure),
        ("refused stream", conditions.refused_stream),
        ("reset", conditions.reset || conditions.reset_before_request),
        ("timeout", conditions.timeout),
    ] {
        on.extend(holds.then(|| name.to_owned()));
    }
    on.extend(policy.on.statuses.iter().map(|(from, to)| match from == to {
        true => from.to_string(),
        false => format!("{from} to {to}"),
    }));
    let codes = (0..32).filter(|code| policy.on.grpc & (1 << code) != 0);
    on.extend(codes.map(|code| format!("gRPC status {code}")));
    let whom = if policy.unsafe_methods {
        ""
    } else {
        ", idempotent requests only"
    };
    format!("up to {} retries on {}{whom}", policy.attempts, on.join(", "))
}

/// What is particular about a backend.
pub(super) fn policy(policy: &BackendPolicy) -> Vec<String> {
    if policy.is_default() {
        return Vec::new();
    }
    let mut said: Vec<_> = policy
        .origins
        .iter()
        .map(|origin| format!("policy of {origin}"))
        .collect();
    said.extend(balance(&policy.balance));
    said.extend(
        policy
            .warmup
            .map(|warmup| format!("new endpoints warm up for {:?}", warmup.duration)),
    );
    said.extend(locality(&policy.locality));
    said.extend(bounds(&policy.limits));
    said.extend(policy.outliers.as_ref().map(outliers));
    said.extend(policy.retry_budget.map(|budget| match budget {
        RetryBudget::Concurrent { percent, minimum } => {
            format!("retries at most {percent}% of the requests under way, {minimum} always")
        }
        RetryBudget::Rate {
            percent,
            minimum,
            per,
            window,
        } => format!("retries at most {percent}% of the requests in {window:?}, {minimum} in {per:?} always"),
    }));
    said.extend(tls(&policy.tls));
    said.extend(
        policy
            .proxy_protocol
            .map(|version| format!("connections begin with a PROXY protocol header {version:?}")),
    );
    let tunnel = policy.tunnel.as_ref();
    said.extend(tunnel.map(|tunnel| format!("connections are tunnelled to {}:{}", tunnel.host, tunnel.port)));
    let check = policy.health_check.as_ref();
    said.extend(check.map(|check| {
        format!(
            "endpoints are asked every {:?} whether they are well",
            check.interval
        )
    }));
    said
}

fn balance(balance: &Balance) -> Option<String> {
    let said = match balance {
        Balance::PeakEwma => return None,
        Balance::LeastRequest => "the less busy of two endpoints".to_owned(),
        Balance::RoundRobin => "endpoints in turn".to_owned(),
        Balance::Random => "endpoints by chance".to_owned(),
        Balance::OriginalDestination => "the address that was dialled".to_owned(),
        Balance::Hash { key, table } => {
            let key = match key {
                HashKey::Header(name) => format!("header {name}"),
                HashKey::Cookie { name, .. } => format!("cookie {name}"),
                HashKey::SourceAddress => "the caller's address".to_owned(),
                HashKey::Query(name) => format!("query parameter {name}"),
            };
            let table = match table {
                HashTable::Ring(_) => "ring",
                HashTable::Maglev(_) => "Maglev",
            };
            format!("endpoints by a hash of {key} ({table})")
        }
    };
    Some(said)
}

fn locality(policy: &LocalityPolicy) -> Option<String> {
    if !policy.distribute.is_empty() {
        return Some("endpoints by weights of localities".to_owned());
    }
    (policy.failover || !policy.labels.is_empty()).then(|| "near endpoints first".to_owned())
}

fn bounds(limits: &Limits) -> Vec<String> {
    let counts = [
        ("connections", limits.connections),
        ("waiting requests", limits.pending_requests),
        ("requests", limits.requests),
        ("retries", limits.retries),
        ("requests over a connection", limits.requests_per_connection),
        ("streams on a connection", limits.concurrent_streams),
    ];
    let times = [
        ("connect", limits.connect_timeout),
        ("idle HTTP connection", limits.http_idle),
        ("idle connection", limits.tcp_idle),
        ("life of a connection", limits.connection_life),
    ];
    let counts = counts
        .iter()
        .filter_map(|(what, count)| count.map(|count| format!("at most {count} {what}")));
    let times = times
        .iter()
        .filter_map(|(what, limit)| limit.map(|limit| format!("{what} at most {limit:?}")));
    counts.chain(times).collect()
}

fn outliers(outliers: &OutlierDetection) -> String {
    let counts = [
        ("answers 5xx", outliers.consecutive_5xx),
        ("gateway errors", outliers.consecutive_gateway),
        ("failures of connections", outliers.consecutive_local),
        ("failures", outliers.accrual.map(|accrual| accrual.max_failures)),
    ];
    let counts: Vec<_> = counts
        .iter()
        .filter_map(|(what, count)| count.map(|count| format!("{count} {what} in a row")))
        .collect();
    format!("endpoints are taken out after {}", counts.join(" or "))
}

fn tls(tls: &UpstreamTls) -> Option<String> {
    match tls {
        UpstreamTls::Mesh => None,
        UpstreamTls::Disabled => Some("plaintext, whatever the endpoint asks".to_owned()),
        UpstreamTls::MeshMutual => Some("mutual TLS of the mesh, whatever the endpoint asks".to_owned()),
        UpstreamTls::Origination { sni, unverified, .. } => {
            let name = sni.as_deref().unwrap_or("the request's host");
            let caution = if *unverified {
                ", the certificate is not verified"
            } else {
                ""
            };
            Some(format!("TLS to {name}{caution}"))
        }
    }
}
