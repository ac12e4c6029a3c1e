//! What is refused can be asked about: an id, and the facts behind it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderMap;
use wattle_model::{Attribute, Authorization, Condition, Operation, TextMatch};
use wattle_telemetry::Refusal;
use wattle_telemetry::access::{AccessLog, AccessLogConfig, Sink};

use super::*;
use crate::tests::worker_with_log;

/// Denies requests with `x-role: guest`, and compares a header that holds a credential.
fn guarded(port: u16) -> Inbound {
    let condition = |name: &'static str, value: &str| Condition {
        attribute: Attribute::RequestHeader(http::HeaderName::from_static(name)),
        values: vec![TextMatch::Exact(value.into())],
        not_values: Vec::new(),
        blocks: Vec::new(),
        not_blocks: Vec::new(),
    };
    let rule = |when| PolicyRule {
        when: vec![when],
        ..PolicyRule::default()
    };
    let mut inbound = open(port);
    inbound.authorization.deny = vec![Policy {
        origin: origin("guests"),
        rules: vec![
            rule(condition("authorization", "never")),
            rule(condition("x-role", "guest")),
        ],
    }];
    inbound
}

fn guest(path: &str) -> Request {
    let mut request = get(path);
    let headers = &mut request.head.headers;
    for (name, value) in [
        ("x-role", "guest"),
        ("x-other", "hidden"),
        ("cookie", "a=b"),
        ("authorization", "Bearer x"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    request
}

fn id_of(headers: &HeaderMap) -> &str {
    headers["wattle-refusal"].to_str().unwrap()
}

/// The only refusal that is kept.
fn only(worker: &Worker) -> Refusal {
    let all = worker.refusals.all();
    assert_eq!(all.len(), 1);
    all.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_refusal_has_an_id_under_which_its_facts_are_kept_and_no_secret() {
    let run = async {
        let worker = worker();
        let local = application(ok).await;
        tell(&worker, guarded(local.port()), &[], None);
        let response = send(&worker, local, Some("b"), guest("/pay?card=1")).await;
        assert_eq!(response.head.status, 403);
        let kept = only(&worker);
        assert_eq!(kept.id, id_of(&response.head.headers));
        assert_eq!(kept.id.len(), 16);
        assert_eq!(kept.reason, "policy_denied");
        assert_eq!(kept.policy, "RateLimit n/guests rule 1");
        assert_eq!(kept.peer.as_deref(), Some("spiffe://td/ns/n/sa/b"));
        let request = kept.request.unwrap();
        assert_eq!((&*request.method, &*request.path), ("GET", "/pay"));
        assert!(request.header_names.contains(&"cookie".to_owned()));
        assert_eq!(request.headers.len(), 1);
        assert_eq!(request.headers["x-role"], ["guest"]);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_grpc_client_is_told_the_id_as_well() {
    let run = async {
        let worker = worker();
        let local = application(ok).await;
        tell(&worker, guarded(local.port()), &[], None);
        let mut request = guest("/a.B/C");
        let content = HeaderValue::from_static("application/grpc");
        request.head.headers.insert("content-type", content);
        let response = send(&worker, local, None, request).await;
        assert_eq!(response.head.headers["grpc-status"], "7");
        assert_eq!(only(&worker).id, id_of(&response.head.headers));
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn what_passes_keeps_nothing_and_an_application_cannot_say_that_it_was_refused() {
    let run = async {
        let worker = worker();
        let local = application(async |_| {
            let mut response = Response::new(StatusCode::FORBIDDEN, Body::Empty);
            let forged = HeaderValue::from_static("0123456789abcdef");
            response.head.headers.insert("wattle-refusal", forged);
            response
        })
        .await;
        tell(&worker, open(local.port()), &[], None);
        let response = send(&worker, local, None, get("/")).await;
        assert_eq!(response.head.status, 403);
        assert!(!response.head.headers.contains_key("wattle-refusal"));
        assert!(worker.refusals.all().is_empty());
    };
    LocalSet::new().run_until(run).await;
}

/// A log that a test can read.
#[derive(Clone, Default)]
pub(super) struct Page(pub(super) Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines of the log after one request.
async fn logged(inbound: impl FnOnce(u16) -> Inbound, request: Request) -> serde_json::Value {
    logged_of(inbound, request, ok).await
}

/// The same with another application.
async fn logged_of(
    inbound: impl FnOnce(u16) -> Inbound,
    request: Request,
    answer: impl AsyncFn(Request) -> Response + 'static,
) -> serde_json::Value {
    let page = Page::default();
    let log = AccessLog::start(AccessLogConfig {
        sink: Sink::Writer(Box::new(page.clone())),
        ..AccessLogConfig::default()
    })
    .unwrap();
    let worker = worker_with_log(Some(log.writer()));
    let local = application(answer).await;
    tell(&worker, inbound(local.port()), &[], None);
    let response = send(&worker, local, Some("b"), request).await;
    let id = response.head.headers.get("wattle-refusal").cloned();
    response.body.collect(1000).await.unwrap();
    worker.sweep();
    log.finish(Duration::from_secs(5));
    let text = page.0.lock().unwrap().clone();
    let line: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(
        line["refusal_id"].as_str(),
        id.as_ref().map(|id| id.to_str().unwrap())
    );
    line
}

/// A policy that matches POST.
fn posts(name: &str) -> Policy {
    let operation = Operation {
        methods: vec![TextMatch::Exact("POST".into())],
        ..Operation::default()
    };
    Policy {
        origin: origin(name),
        rules: vec![PolicyRule {
            to: vec![operation],
            ..PolicyRule::default()
        }],
    }
}

#[tokio::test]
async fn the_log_names_the_refusal_the_audit_and_what_a_trial_would_have_decided() {
    let run = async {
        let trying = |port| {
            let mut inbound = open(port);
            inbound.authorization.audit = vec![posts("watch")];
            inbound.authorization.dry_run = Some(Arc::new(Authorization {
                deny: vec![posts("try")],
                ..Authorization::default()
            }));
            inbound
        };
        let post = Request::new(RequestHead::new(Method::POST, "a", "/"), Body::Empty);
        let line = logged(trying, post).await;
        assert_eq!(line["response_code"], 200);
        assert_eq!(line["audited_by"], "RateLimit n/watch");
        assert_eq!(
            (&line["reporter"], &line["instance"]),
            (&"destination".into(), &worker().settings.instance.clone().into())
        );
        assert_eq!(line["destination_principal"], worker().settings.id.as_str());
        assert_eq!(line["dry_run"], "denied by RateLimit n/try rule 0");
        let line = logged(trying, get("/")).await;
        assert_eq!(line["audited_by"], serde_json::Value::Null);
        assert_eq!(line["dry_run"], "allowed");
        let line = logged(guarded, guest("/")).await;
        assert!(line["refusal_id"].is_string());
        assert_eq!(line["dry_run"], serde_json::Value::Null);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn neither_a_query_nor_a_header_that_may_hold_a_secret_is_in_the_log() {
    let run = async {
        let line = logged(open, guest("/pay?card=4111111111111111")).await;
        assert_eq!(line["path"], "/pay");
        let line = line.to_string();
        for secret in ["card", "4111111111111111", "a=b", "Bearer", "hidden"] {
            assert!(!line.contains(secret), "{secret}: {line}");
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn the_log_says_by_what_name_and_for_whom_the_client_asked() {
    let run = async {
        let mut request = get("/");
        let address = HeaderValue::from_static("192.0.2.7, 10.0.0.1");
        request.head.headers.append("x-forwarded-for", address);
        let line = logged(open, request).await;
        assert_eq!(line["x_forwarded_for"], "192.0.2.7, 10.0.0.1");
        assert_eq!(line["requested_server_name"], "outbound_.80_._.a");
        let line = logged(open, get("/")).await;
        assert_eq!(line["x_forwarded_for"], serde_json::Value::Null);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_refusal_and_its_line_carry_the_trace_that_the_request_came_with() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let run = async {
        let traced = || {
            let mut request = guest("/");
            let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
            let value = HeaderValue::from_str(&traceparent).unwrap();
            request.head.headers.append("traceparent", value);
            request
        };
        let line = logged(guarded, traced()).await;
        assert_eq!(line["trace_id"], TRACE);
        let worker = worker();
        let local = application(ok).await;
        tell(&worker, guarded(local.port()), &[], None);
        send(&worker, local, Some("b"), traced()).await;
        assert_eq!(only(&worker).trace_id.as_deref(), Some(TRACE));
        // Two are as good as none.
        let mut twice = traced();
        let first = twice.head.headers["traceparent"].clone();
        twice.head.headers.append("traceparent", first);
        let line = logged(guarded, twice).await;
        assert_eq!(line["trace_id"], serde_json::Value::Null);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn an_application_cannot_put_a_refusal_into_the_log() {
    let run = async {
        let line = logged_of(open, get("/"), async |_| {
            let mut response = Response::new(StatusCode::FORBIDDEN, Body::Empty);
            for (name, value) in [
                ("wattle-refusal", "0123456789abcdef"),
                ("wattle-reason", "policy_denied"),
            ] {
                response
                    .head
                    .headers
                    .insert(name, HeaderValue::from_static(value));
            }
            response
        })
        .await;
        assert_eq!(line["refusal_id"], serde_json::Value::Null);
    };
    LocalSet::new().run_until(run).await;
}
