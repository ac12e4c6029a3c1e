//! Rules with everything that one may say.

use std::sync::Arc;
use std::time::Duration;

use wattle_model::{
    Action, Chance, Fault, Filters, HeaderMatch, HostMatch, Mirror, PathMatch, PathRewrite, QueryMatch,
    Redirect, RedirectPort, RequestMatch, RetryConditions, RetryOn, RetryPolicy, RouteRule, SessionCarrier,
    SessionPersistence, Substitution, TextMatch, Timeouts, UrlRewrite, WeightedBackend,
};

use crate::support::mesh::{rule, to};
use crate::{SECOND, regex};

fn paths() -> Vec<PathMatch> {
    vec![
        PathMatch::Exact("/exact".into()),
        PathMatch::Prefix("/".into()),
        PathMatch::Prefix("/below/".into()),
        PathMatch::Prefix("/odd//".into()),
        PathMatch::StartsWith("/start".into()),
        PathMatch::Regex(regex("/r[0-9]+")),
        PathMatch::ExactAnyCase("/Any".into()),
        PathMatch::StartsWithAnyCase("/Any".into()),
    ]
}

fn rewrites() -> Vec<PathRewrite> {
    vec![
        PathRewrite::Full("/a\\b".into()),
        PathRewrite::Prefix("/n".into()),
        PathRewrite::Prefix("/".into()),
        PathRewrite::Matched("/m".into()),
        PathRewrite::Matched("/".into()),
        PathRewrite::Regex(Substitution::new("/x/([a-z]+)", "/\\1/y").unwrap()),
    ]
}

fn detailed() -> RequestMatch {
    let texts = [
        TextMatch::Exact("a".into()),
        TextMatch::Prefix("a".into()),
        TextMatch::Suffix("a".into()),
        TextMatch::Present,
        TextMatch::Regex(regex("a+|b")),
    ];
    let headers = [false, true].into_iter().flat_map(|inverted| {
        texts.clone().map(|value| HeaderMatch {
            name: "x-a".parse().unwrap(),
            value,
            inverted,
        })
    });
    RequestMatch {
        hosts: vec![HostMatch::parse("a.test"), HostMatch::parse("*.b.test")],
        method: Some(TextMatch::Exact("GET".into())),
        scheme: Some(TextMatch::Exact("http".into())),
        authority: Some(TextMatch::Prefix("a".into())),
        headers: headers.collect(),
        query: texts
            .map(|value| QueryMatch {
                name: "q".into(),
                value,
            })
            .into(),
        ..RequestMatch::default()
    }
}

fn retries() -> Vec<RetryPolicy> {
    let conditions = RetryConditions {
        connect_failure: true,
        refused_stream: true,
        reset: true,
        reset_before_request: true,
        timeout: true,
    };
    let on = RetryOn {
        conditions,
        statuses: vec![(502, 504), (409, 409)],
        grpc: 1 << 14 | 1 << 2,
    };
    let policy = RetryPolicy {
        attempts: 3,
        on,
        backoff: Duration::ZERO,
        max_backoff: SECOND,
        unsafe_methods: false,
        hedge_after: None,
        another_endpoint: true,
    };
    vec![
        RetryPolicy {
            attempts: 0,
            ..policy.clone()
        },
        RetryPolicy {
            unsafe_methods: true,
            hedge_after: Some(SECOND),
            ..policy.clone()
        },
        policy,
    ]
}

fn forward() -> Action {
    Action::Forward(vec![to(0, 1)])
}

fn on(path: PathMatch, action: Action) -> RouteRule {
    let matches = RequestMatch {
        path: Some(path),
        ..RequestMatch::default()
    };
    rule(matches, action)
}

/// Every rewrite of every path, by a redirect and on the way.
fn rewritten() -> Vec<RouteRule> {
    let mut rules = Vec::new();
    for path in paths() {
        for rewrite in rewrites() {
            let redirect = Redirect {
                scheme: None,
                host: None,
                port: RedirectPort::Listener,
                path: Some(rewrite.clone()),
                status: 308,
            };
            rules.push(on(path.clone(), Action::Redirect(redirect)));
            let mut forwards = on(path.clone(), forward());
            forwards.filters = Arc::new(Filters {
                rewrite: UrlRewrite {
                    host: Some("h.test".into()),
                    path: Some(rewrite),
                },
                ..Filters::default()
            });
            rules.push(forwards);
        }
    }
    rules
}

/// By weight, with filters of the first backend.
fn weighted(filters: Filters) -> RouteRule {
    let own = WeightedBackend {
        filters: Some(Arc::new(filters)),
        ..to(0, 3)
    };
    let lost = WeightedBackend {
        backend: None,
        ..to(0, 1)
    };
    rule(
        RequestMatch::default(),
        Action::Forward(vec![own, to(1, 7), lost]),
    )
}

fn repeated(policy: RetryPolicy) -> RouteRule {
    let second = Some(SECOND);
    RouteRule {
        retry: Some(Arc::new(policy)),
        timeouts: Timeouts {
            request: second,
            backend_request: second,
            response: second,
            idle: second,
        },
        ..weighted(Filters::default())
    }
}

fn mirrored(carrier: SessionCarrier) -> RouteRule {
    let mirror = Mirror {
        backend: Some(1),
        written: "m".into(),
        chance: Chance::of(1, 3),
    };
    let fault = Fault {
        delay: Some((Chance::ALWAYS, SECOND)),
        abort: None,
    };
    RouteRule {
        filters: Arc::new(Filters {
            mirrors: vec![mirror.clone()],
            fault: Some(fault),
            ..Filters::default()
        }),
        session: Some(Arc::new(SessionPersistence {
            carrier,
            absolute_timeout: Some(SECOND),
        })),
        ..weighted(Filters {
            mirrors: vec![mirror],
            ..Filters::default()
        })
    }
}

pub(super) fn rules() -> Vec<RouteRule> {
    let cookie = SessionCarrier::Cookie {
        name: "s".into(),
        permanent: true,
        path: "/".into(),
    };
    let mut rules = vec![rule(detailed(), forward())];
    rules.extend(rewritten());
    rules.extend(retries().into_iter().map(repeated));
    rules.push(mirrored(cookie));
    rules.push(mirrored(SessionCarrier::Header("x-s".parse().unwrap())));
    rules
}
