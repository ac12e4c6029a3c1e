//! What the inbound side takes, and where it goes: whole requests over loopback.
#![allow(clippy::unwrap_used)]

mod asked;
mod believed;
mod counted;
mod limited;
mod paths;
mod refused;
mod staying;
mod tokens;
mod tunnels;
mod unready;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use wattle_http::{Body, Request, RequestHead, Response, SendError, h1};
use wattle_model::{
    Inbound, InboundPort, Limits, MtlsMode, ObjectRef, Policy, PolicyRule, Protocol, RateLimit,
};

use super::{Arrived, Who, serve_http1};
use crate::config::News;
use crate::tests::{application, http2_application, identity, pair, worker};
use crate::worker::{RateLimits, Worker};

/// Everybody may come, to a port that is declared as HTTP.
fn open(port: u16) -> Inbound {
    let mut inbound = Inbound {
        ports: vec![InboundPort {
            port,
            protocol: Protocol::Http1,
            mtls: MtlsMode::Permissive,
            mtls_origin: None,
            service: None,
            target: None,
        }],
        ..Inbound::default()
    };
    inbound.authorization.allow = vec![Policy {
        origin: origin("all"),
        rules: vec![PolicyRule::default()],
    }];
    inbound
}

fn origin(name: &str) -> ObjectRef {
    ObjectRef {
        kind: "RateLimit".into(),
        namespace: "n".into(),
        name: name.into(),
        file: "".into(),
        line: 0,
    }
}

/// Tells a worker what is in force, as the main thread does.
fn tell(
    worker: &Worker,
    inbound: Inbound,
    limits: &[RateLimit],
    old: Option<&RateLimits>,
) -> Option<Arc<RateLimits>> {
    let made = RateLimits::of(limits, old);
    worker.hear(News::RateLimits(made.clone()));
    worker.hear(News::Inbound(Arc::new(inbound)));
    made
}

/// Sends a request to the workload at `local` as this caller, on a connection of its own.
async fn send(worker: &Rc<Worker>, local: SocketAddr, caller: Option<&str>, request: Request) -> Response {
    try_send(worker, local, caller, request).await.unwrap()
}

/// The same for one that may go unanswered.
async fn try_send(
    worker: &Rc<Worker>,
    local: SocketAddr,
    caller: Option<&str>,
    request: Request,
) -> Result<Response, SendError> {
    send_under(worker, local, (caller, None), request).await
}

/// The same on a connection that rests on this.
async fn send_under(
    worker: &Rc<Worker>,
    local: SocketAddr,
    (caller, proof): (Option<&str>, Option<Rc<crate::worker::Proof>>),
    request: Request,
) -> Result<Response, SendError> {
    let (near, far) = pair().await;
    let who = Who {
        downstream: far.peer_addr().unwrap(),
        local,
        peer: caller.map(identity),
        proof,
        sni: Some("outbound_.80_._.a".into()),
    };
    let arrived = Arrived {
        stream: far.into(),
        who: Rc::new(who),
    };
    let worker = worker.clone();
    tokio::task::spawn_local(async move { serve_http1(&worker, arrived).await });
    let client = h1::Client::new(near, Rc::default(), None);
    client.send(request).await
}

fn get(path: &str) -> Request {
    Request::new(RequestHead::new(Method::GET, "a", path), Body::Empty)
}

async fn ok(_: Request) -> Response {
    Response::new(StatusCode::OK, Body::Empty)
}

#[tokio::test]
async fn requests_go_where_the_port_says_that_the_application_listens_even_on_a_kept_connection() {
    let run = async {
        let worker = worker();
        let (dialled, target) = (
            application(ok).await,
            application(async |_| Response::new(StatusCode::ACCEPTED, Body::Empty)).await,
        );
        tell(&worker, open(dialled.port()), &[], None);
        assert_eq!(send(&worker, dialled, None, get("/")).await.head.status, 200);
        let mut elsewhere = open(dialled.port());
        elsewhere.ports[0].target = Some(target);
        tell(&worker, elsewhere, &[], None);
        assert_eq!(send(&worker, dialled, None, get("/")).await.head.status, 202);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn no_more_requests_are_under_way_towards_the_application_than_its_limits_allow() {
    let run = async {
        let worker = worker();
        let (arrived, go_on) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
        let (there, wait) = (arrived.clone(), go_on.clone());
        let app = application(async move |_| {
            there.notify_one();
            wait.notified().await;
            Response::new(StatusCode::OK, Body::Empty)
        })
        .await;
        let mut inbound = open(app.port());
        inbound.limits = Limits {
            requests: Some(1),
            ..Limits::default()
        };
        tell(&worker, inbound, &[], None);
        let first = send(&worker, app, None, get("/"));
        let second = async {
            arrived.notified().await;
            let refused = send(&worker, app, None, get("/")).await;
            go_on.notify_one();
            refused
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!(
            (first.head.status, second.head.status),
            (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE)
        );
        assert_eq!(second.head.headers["wattle-reason"], "upstream_overflow");
        let third = tokio::join!(send(&worker, app, None, get("/")), async {
            arrived.notified().await;
            go_on.notify_one();
        });
        assert_eq!(third.0.head.status, 200);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_port_that_is_declared_as_http_2_is_asked_in_it_whoever_asks() {
    let run = async {
        let worker = worker();
        let app = http2_application(ok).await;
        let mut inbound = open(app.port());
        inbound.ports[0].protocol = Protocol::Http2;
        tell(&worker, inbound, &[], None);
        let response = send(&worker, app, None, get("/")).await;
        assert_eq!(response.head.status, 200);
    };
    LocalSet::new().run_until(run).await;
}
