//! What a rule of a VirtualService changes on the way.

use http::{HeaderName, HeaderValue};
use wattle_api::istio::{
    AbortWith, CorsPolicy, Fault as WrittenFault, HeaderChanges, Headers, HttpRule, Rewrite, StringMatch,
    UnmatchedPreflights,
};
use wattle_model::{
    Abort, Chance, Cors, CorsList, Fault, Filters, HeaderModifier, PathRewrite, Substitution, TextMatch,
    UrlRewrite,
};

use super::matches;

/// An inner rule with what only the rule that delegates to it says.
pub(super) fn inherited(inner: &HttpRule, outer: &HttpRule) -> HttpRule {
    let mut rule = inner.clone();
    rule.rewrite = rule.rewrite.or_else(|| outer.rewrite.clone());
    rule.timeout = rule.timeout.or(outer.timeout);
    rule.retries = rule.retries.or_else(|| outer.retries.clone());
    rule.fault = rule.fault.or(outer.fault);
    if rule.mirrors.is_empty() {
        rule.mirrors = outer.mirrors.clone();
    }
    rule.cors_policy = rule.cors_policy.or_else(|| outer.cors_policy.clone());
    rule.headers = both(&outer.headers, &rule.headers);
    rule
}

/// Changes of both; of a header that both name, the inner's.
fn both(outer: &Headers, inner: &Headers) -> Headers {
    let changes = |outer: &HeaderChanges, inner: &HeaderChanges| {
        let mut all = outer.clone();
        all.set.extend(inner.set.clone());
        all.add.extend(inner.add.clone());
        all.remove.extend(inner.remove.clone());
        all
    };
    Headers {
        request: changes(&outer.request, &inner.request),
        response: changes(&outer.response, &inner.response),
    }
}

/// The filters of a rule, without its mirrors; `None` when a part of it cannot be had, so that its requests must be
/// refused.
pub(super) fn filters(rule: &HttpRule) -> Option<Filters> {
    let mut filters = of_headers(&rule.headers)?;
    if let Some(written) = &rule.rewrite {
        let UrlRewrite { host, path } = rewrite(written)?;
        filters.rewrite.host = host.or(filters.rewrite.host);
        filters.rewrite.path = path;
    }
    filters.cors = match &rule.cors_policy {
        Some(policy) => Some(Box::new(cors(policy)?)),
        None => None,
    };
    filters.fault = rule.fault.as_ref().map(fault);
    Some(filters)
}

/// Changes of headers as filters; a request's `host` becomes a rewrite.
pub(super) fn of_headers(written: &Headers) -> Option<Filters> {
    let (request_headers, host) = modifier(&written.request)?;
    let (response_headers, _) = modifier(&written.response)?;
    Some(Filters {
        request_headers,
        response_headers,
        rewrite: UrlRewrite { host, path: None },
        ..Filters::default()
    })
}

fn modifier(written: &HeaderChanges) -> Option<(HeaderModifier, Option<Box<str>>)> {
    let mut modifier = HeaderModifier::default();
    let mut host = None;
    for (name, value) in &written.set {
        if is_authority(name) {
            host = Some(value.as_str().into());
        } else {
            modifier.set.push(header(name, value)?);
        }
    }
    for (name, value) in &written.add {
        if is_authority(name) {
            host = Some(value.as_str().into());
        } else {
            modifier.add.push(header(name, value)?);
        }
    }
    for name in &written.remove {
        modifier
            .remove
            .push(HeaderName::from_bytes(name.as_bytes()).ok()?);
    }
    Some((modifier, host))
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((
        HeaderName::from_bytes(name.as_bytes()).ok()?,
        HeaderValue::from_str(value).ok()?,
    ))
}

fn is_authority(name: &str) -> bool {
    matches!(name, "host" | ":authority")
}

fn rewrite(written: &Rewrite) -> Option<UrlRewrite> {
    let by_match = written.uri.as_deref().map(|uri| PathRewrite::Matched(uri.into()));
    let by_expression = match &written.uri_regex_rewrite {
        Some(regex) => {
            let substitution = Substitution::new(regex.pattern.as_str(), &regex.rewrite).ok()?;
            Some(PathRewrite::Regex(substitution))
        }
        None => None,
    };
    Some(UrlRewrite {
        host: written.authority.as_deref().map(Into::into),
        path: by_match.or(by_expression),
    })
}

fn fault(written: &WrittenFault) -> Fault {
    let chance = |share: wattle_api::istio::Percentage| Chance::per_million(share.parts_per_million());
    Fault {
        delay: written
            .delay
            .map(|delay| (chance(delay.percentage), delay.fixed_delay)),
        abort: written.abort.map(|abort| {
            let with = match abort.with {
                AbortWith::HttpStatus(status) => Abort::Http(status),
                AbortWith::GrpcStatus(status) => Abort::Grpc(status.code()),
            };
            (chance(abort.percentage), with)
        }),
    }
}

fn cors(written: &CorsPolicy) -> Option<Cors> {
    let origin = |wanted: &StringMatch| match wanted {
        StringMatch::Exact(any) if any == "*" => Some(TextMatch::Present),
        other => matches::text(other),
    };
    Some(Cors {
        origins: written.allow_origins.iter().map(origin).collect::<Option<_>>()?,
        methods: list(&written.allow_methods),
        headers: list(&written.allow_headers),
        expose: list(&written.expose_headers),
        max_age: written.max_age,
        credentials: written.allow_credentials.unwrap_or(false),
        forwards_unmatched: written.unmatched_preflights == UnmatchedPreflights::Forward,
    })
}

fn list(names: &[String]) -> CorsList {
    if names.iter().any(|name| name == "*") {
        CorsList::Any
    } else {
        CorsList::These(names.join(",").into())
    }
}
