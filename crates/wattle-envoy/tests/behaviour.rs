//! A real Envoy, told by the encoder, decides as a Wattle proxy does.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use serde_json::Value;
use support::mesh::{self, Mesh, backend, destination, endpoint, routed, rule, to};
use support::{Running, bootstrap, free};
use wattle_model::{
    Abort, Access, Action, CallerScope, Chance, Cors, CorsList, DirectResponse, Fault, Filters,
    HeaderModifier, HostMatch, PathMatch, PathRewrite, Protocol, Reason, Redirect, RedirectPort,
    RequestMatch, RouteRule, TextMatch, UrlRewrite, WeightedBackend,
};
use wattle_testkit::{Answer, Echo, Need, Request, ask, lacks};

fn below(path: &str) -> RequestMatch {
    RequestMatch {
        path: Some(PathMatch::Prefix(path.into())),
        ..RequestMatch::default()
    }
}

fn name(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

fn value(value: &'static str) -> HeaderValue {
    HeaderValue::from_static(value)
}

fn filtered(mut rule: RouteRule, filters: Filters) -> RouteRule {
    rule.filters = Arc::new(filters);
    rule
}

fn forward() -> Action {
    Action::Forward(vec![to(0, 1)])
}

fn asked(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text()).unwrap_or_else(|_| panic!("{answer:?}"))
}

fn sent<'a>(asked: &'a Value, wanted: &str) -> Vec<&'a str> {
    let headers = asked["headers"].as_array().unwrap().iter();
    headers
        .filter(|pair| pair[0] == wanted)
        .map(|pair| pair[1].as_str().unwrap())
        .collect()
}

fn changing() -> Vec<RouteRule> {
    let modifier = HeaderModifier {
        set: vec![(name("x-set"), value("100%"))],
        add: vec![(name("x-add"), value("more"))],
        remove: vec![name("x-gone")],
    };
    let own = Filters {
        request_headers: HeaderModifier {
            set: vec![(name("x-set"), value("backend"))],
            ..Default::default()
        },
        ..Filters::default()
    };
    let backend = WeightedBackend {
        filters: Some(Arc::new(own)),
        ..to(0, 1)
    };
    let rewritten = |path| Filters {
        rewrite: UrlRewrite {
            host: Some("inside.test".into()),
            path: Some(path),
        },
        ..Filters::default()
    };
    let both = Filters {
        request_headers: modifier.clone(),
        response_headers: modifier,
        ..Filters::default()
    };
    vec![
        filtered(rule(below("/headers"), Action::Forward(vec![backend])), both),
        filtered(
            rule(below("/prefix"), forward()),
            rewritten(PathRewrite::Prefix("/new/".into())),
        ),
        filtered(
            rule(below("/root"), forward()),
            rewritten(PathRewrite::Prefix("/".into())),
        ),
        filtered(
            rule(below("/full"), forward()),
            rewritten(PathRewrite::Full("/all".into())),
        ),
    ]
}

fn answering() -> Vec<RouteRule> {
    let redirect = |path, port, scheme: Option<&str>| {
        Action::Redirect(Redirect {
            scheme: scheme.map(Into::into),
            host: Some("new.test".into()),
            port,
            path,
            status: 302,
        })
    };
    let there = Some(PathRewrite::Prefix("/there".into()));
    let short = DirectResponse {
        status: 418,
        body: b"short".as_slice().into(),
    };
    let abort = |abort| Filters {
        fault: Some(Fault {
            delay: None,
            abort: Some((Chance::ALWAYS, abort)),
        }),
        ..Filters::default()
    };
    let lost = WeightedBackend {
        backend: None,
        ..to(0, 1)
    };
    vec![
        rule(
            below("/moved"),
            redirect(there, RedirectPort::Listener, Some("https")),
        ),
        rule(below("/port"), redirect(None, RedirectPort::Fixed(8443), None)),
        rule(below("/fixed"), Action::Respond(short)),
        rule(below("/refused"), Action::Refuse(Reason::NoBackend)),
        rule(below("/nowhere"), Action::Forward(vec![lost])),
        rule(below("/nothing"), Action::Forward(vec![to(0, 0)])),
        filtered(rule(below("/abort"), forward()), abort(Abort::Http(503))),
        filtered(rule(below("/grpc-abort"), forward()), abort(Abort::Grpc(5))),
    ]
}

fn hosting() -> Vec<RouteRule> {
    let cors = Cors {
        origins: vec![TextMatch::Exact("https://page.test".into())],
        methods: CorsList::These("GET, POST".into()),
        headers: CorsList::These("".into()),
        expose: CorsList::These("x-served-by".into()),
        max_age: Some(std::time::Duration::from_secs(60)),
        credentials: false,
        forwards_unmatched: false,
    };
    let special = RequestMatch {
        hosts: vec![HostMatch::parse("*.special.test")],
        ..below("/host")
    };
    let permitted = Filters {
        cors: Some(Box::new(cors)),
        ..Filters::default()
    };
    let lost = WeightedBackend {
        backend: None,
        ..to(0, 1)
    };
    vec![
        filtered(rule(below("/cors"), forward()), permitted.clone()),
        filtered(
            rule(below("/lost"), Action::Forward(vec![lost])),
            permitted.clone(),
        ),
        filtered(
            rule(below("/refused"), Action::Refuse(Reason::NoBackend)),
            permitted,
        ),
        rule(special, Action::Forward(vec![to(1, 1)])),
        rule(below("/host"), forward()),
    ]
}

/// An Envoy in front of two echoes, under these rules, and where it listens.
fn fronted(rules: Vec<RouteRule>) -> (Running, SocketAddr) {
    let (one, two) = (Echo::start_here("one").unwrap(), Echo::start_here("two").unwrap());
    let at = free();
    let mut mesh = Mesh::default();
    mesh.endpoints("one:80", vec![endpoint(one.address)]);
    mesh.endpoints("two:80", vec![endpoint(two.address)]);
    let backends = vec![backend("one:80"), backend("two:80")];
    mesh.add(routed(destination(at, Protocol::Http1, backends), rules));
    (Running::start(&bootstrap(&mesh.encode(), true), at), at)
}

fn get(at: SocketAddr, target: &str) -> Answer {
    ask(at, &Request::get("web.test:80", target)).unwrap()
}

#[test]
fn headers_and_paths_are_changed_and_nothing_is_added() {
    if lacks(&[Need::Envoy]) {
        return;
    }
    let (_envoy, at) = fronted(changing());
    let mut request = Request::get("web.test", "/headers?q=1");
    let sent_headers = [("x-gone", "1"), ("x-add", "first"), ("x-set", "own")];
    request.headers = sent_headers
        .map(|(name, value)| (name.into(), value.into()))
        .into();
    let answer = ask(at, &request).unwrap();
    let told = asked(&answer);
    assert_eq!(told["target"], "/headers?q=1");
    assert_eq!(
        (sent(&told, "x-set"), sent(&told, "x-add")),
        (vec!["backend"], vec!["first", "more"])
    );
    for gone in [
        "x-gone",
        "x-request-id",
        "x-forwarded-for",
        "x-envoy-expected-rq-timeout-ms",
    ] {
        assert!(sent(&told, gone).is_empty(), "{gone}");
    }
    assert_eq!(
        (answer.header("x-set"), answer.header("server")),
        (Some("100%"), None)
    );
    let paths = [
        ("/prefix/a?b", "/new/a?b"),
        ("/prefix", "/new"),
        ("/root", "/"),
        ("/root/a", "/a"),
        ("/full/x?q", "/all?q"),
    ];
    for (target, expected) in paths {
        let told = asked(&get(at, target));
        let found = (told["target"].as_str().unwrap(), sent(&told, "host"));
        assert_eq!(found, (expected, vec!["inside.test"]), "{target}");
    }
}

#[test]
fn rules_that_answer_by_themselves_do_and_what_matches_none_is_404() {
    if lacks(&[Need::Envoy]) {
        return;
    }
    let (_envoy, at) = fronted(answering());
    let statuses = [
        ("/moved/x?q", 302),
        ("/port", 302),
        ("/fixed", 418),
        ("/refused", 500),
        ("/nowhere", 500),
        ("/nothing", 500),
        ("/abort", 503),
        // Envoy gives a plain request the status of gRPC in a header, see docs/differences.md.
        ("/grpc-abort", 200),
        ("/unknown", 404),
        ("/fixedly", 404),
    ];
    for (target, status) in statuses {
        assert_eq!(get(at, target).status, status, "{target}");
    }
    assert_eq!(
        get(at, "/moved/x?q").header("location"),
        Some("https://new.test/there/x?q")
    );
    assert_eq!(
        get(at, "/port/a").header("location"),
        Some("http://new.test:8443/port/a")
    );
    assert_eq!(get(at, "/fixed").text(), "short");
}

#[test]
fn hosts_choose_among_rules_and_other_origins_need_permission() {
    if lacks(&[Need::Envoy]) {
        return;
    }
    let (_envoy, at) = fronted(hosting());
    let special = ask(at, &Request::get("a.b.special.test:8080", "/host")).unwrap();
    assert_eq!(asked(&special)["name"], "two");
    assert_eq!(asked(&get(at, "/host"))["name"], "one");
    preflights(at);
}

fn preflights(at: SocketAddr) {
    let preflight = |target: &str, origin: &str| {
        let mut request = Request::get("web.test", target);
        request.method = "OPTIONS".into();
        request.headers = vec![
            ("origin".into(), origin.into()),
            ("access-control-request-method".into(), "GET".into()),
        ];
        ask(at, &request).unwrap()
    };
    let allowed = preflight("/cors", "https://page.test");
    assert_eq!(allowed.status, 200);
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        Some("https://page.test")
    );
    assert_eq!(allowed.header("access-control-allow-methods"), Some("GET, POST"));
    assert_eq!(allowed.header("access-control-max-age"), Some("60"));
    let other = preflight("/cors", "https://other.test");
    assert_eq!(
        (
            other.status,
            other.header("access-control-allow-origin"),
            other.text().as_str()
        ),
        (200, None, "")
    );
    for target in ["/lost", "/refused"] {
        let mut request = Request::get("web.test", target);
        request.headers = vec![("origin".into(), "https://page.test".into())];
        for (answer, status) in [
            (preflight(target, "https://page.test"), 200),
            (ask(at, &request).unwrap(), 500),
        ] {
            let allowed = answer.header("access-control-allow-origin");
            assert_eq!(
                (answer.status, allowed),
                (status, Some("https://page.test")),
                "{target}"
            );
        }
    }
}

#[test]
fn a_destination_out_of_reach_is_refused_in_the_terms_of_http() {
    if lacks(&[Need::Envoy]) {
        return;
    }
    let echo = Echo::start_here("one").unwrap();
    let at = free();
    let mut mesh = Mesh::default();
    mesh.endpoints("one:80", vec![endpoint(echo.address)]);
    let scope = CallerScope {
        labels: vec![],
        origin: mesh::object("scope"),
        access: Access::Refused(Reason::EgressNotAllowed),
    };
    mesh.add(wattle_model::Destination {
        scopes: vec![scope],
        ..destination(at, Protocol::Detect, vec![backend("one:80")])
    });
    let _envoy = Running::start(&bootstrap(&mesh.encode(), true), at);
    assert_eq!(ask(at, &Request::get("web.test", "/")).unwrap().status, 403);
    assert_eq!(echo.requests(), 0);
}
