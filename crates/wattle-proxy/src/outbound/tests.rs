//! Whole requests of a workload to applications over loopback, under routes and policies.
#![allow(clippy::unwrap_used)]

mod believed;
mod hedged;
mod kept;
mod outside;
mod repeated;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use tokio::task::LocalSet;
use wattle_http::{Body, Handler as _, Request, RequestHead, Response};
use wattle_model::{
    Action, Backend, BackendPolicy, Destination, Endpoints, ObjectRef, RequestMatch, RetryConditions,
    RetryOn, RetryPolicy, RouteRule, RouteTable, RuleRef, WeightedBackend,
};

use super::http::Outbound;
use crate::config::{Dialled, News};
use crate::tests::{application, endpoint, worker};
use crate::worker::{Cluster, Worker};

const PEER: ([u8; 4], u16) = ([10, 9, 9, 9], 4000);
const SERVICE: ([u8; 4], u16) = ([10, 96, 0, 1], 80);

/// A workload's proxy and the one service it dials.
struct World {
    worker: Rc<Worker>,
    destination: RefCell<Destination>,
}

/// A rule that forwards everything to the backends by these weights.
fn rule(weights: &[u32]) -> RouteRule {
    let backends = (0..).zip(weights).map(|(index, weight)| WeightedBackend {
        backend: Some(index),
        written: "b".into(),
        weight: *weight,
        filters: None,
    });
    RouteRule {
        origin: RuleRef {
            object: ObjectRef {
                kind: "HTTPRoute".into(),
                namespace: "n".into(),
                name: "r".into(),
                file: "".into(),
                line: 0,
            },
            rule: 0,
            matched: 0,
            name: "".into(),
        },
        matches: RequestMatch::default(),
        filters: Arc::default(),
        action: Arc::new(Action::Forward(backends.collect())),
        timeouts: wattle_model::Timeouts::default(),
        retry: None,
        session: None,
    }
}

/// Repeats 503, resets and slow tries, twice at most, at once.
fn twice() -> RetryPolicy {
    RetryPolicy {
        attempts: 2,
        on: RetryOn {
            conditions: RetryConditions {
                connect_failure: true,
                reset: true,
                timeout: true,
                ..RetryConditions::default()
            },
            statuses: vec![(503, 503)],
            grpc: 1 << 14,
        },
        backoff: Duration::ZERO,
        max_backoff: Duration::ZERO,
        unsafe_methods: false,
        hedge_after: None,
        another_endpoint: true,
    }
}

impl World {
    /// One backend for each list of endpoints, under this policy, and this rule.
    fn new(backends: &[&[SocketAddr]], policy: BackendPolicy, rule: RouteRule) -> Self {
        let world = Self {
            worker: worker(),
            destination: RefCell::default(),
        };
        let policy = Arc::new(policy);
        for (index, addresses) in backends.iter().enumerate() {
            world.place(index, addresses);
            world.destination.borrow_mut().backends.push(Backend {
                id: id(index),
                policy: policy.clone(),
                ..Backend::default()
            });
        }
        world.destination.borrow_mut().default_backend = Some(0);
        world.route(rule);
        world
    }

    fn place(&self, backend: usize, addresses: &[SocketAddr]) {
        let endpoints = Endpoints {
            id: id(backend),
            endpoints: addresses.iter().map(|address| endpoint(*address)).collect(),
            names: Vec::new(),
        };
        self.worker
            .hear(News::Endpoints(id(backend), Arc::new(endpoints)));
    }

    fn route(&self, rule: RouteRule) {
        self.destination.borrow_mut().routes = RouteTable::new(vec![rule]);
        let destination = Arc::new(self.destination.borrow().clone());
        let dialled = Dialled::Address(SERVICE.into());
        self.worker.hear(News::Destination(dialled, Some(destination)));
    }

    async fn send(&self, request: Request) -> Response {
        let found = self.worker.destinations.find(&self.worker, SERVICE.into()).await;
        let outbound = Outbound {
            worker: self.worker.clone(),
            service: found.ok().unwrap(),
            downstream: PEER.into(),
            local: SERVICE.into(),
        };
        outbound.handle(Box::new(request)).await
    }

    async fn cluster(&self) -> Rc<Cluster> {
        let found = self.worker.destinations.find(&self.worker, SERVICE.into()).await;
        found.ok().unwrap().clusters[0].clone()
    }
}

fn id(backend: usize) -> Arc<str> {
    format!("n/b{backend}:80").into()
}

fn get() -> Request {
    request(Method::GET)
}

fn request(method: Method) -> Request {
    Request::new(RequestHead::new(method, "b", "/"), Body::Empty)
}

fn reason(response: &Response) -> &str {
    response
        .head
        .headers
        .get("wattle-reason")
        .map_or("", |value| value.to_str().unwrap())
}

/// An application that says its own name, and never answers while it is `stuck`.
#[derive(Clone, Default)]
struct Named {
    asked: Rc<Cell<u32>>,
    /// Requests that were given up before they were answered.
    given_up: Rc<Cell<u32>>,
    stuck: Rc<Cell<bool>>,
}

/// Counts itself when it is dropped before its time.
struct Unanswered(Rc<Cell<u32>>, bool);

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.set(self.0.get() + u32::from(!self.1));
    }
}

impl Named {
    async fn start(&self) -> SocketAddr {
        let named = self.clone();
        let own = Rc::new(Cell::new(None::<SocketAddr>));
        let told = own.clone();
        let address = application(async move |_| {
            named.asked.set(named.asked.get() + 1);
            let mut unanswered = Unanswered(named.given_up.clone(), false);
            if named.stuck.get() {
                std::future::pending::<()>().await;
            }
            unanswered.1 = true;
            let mut response = Response::new(StatusCode::OK, Body::Empty);
            let name = own.get().unwrap().to_string();
            response.head.headers.insert("x-name", name.parse().unwrap());
            response
        })
        .await;
        told.set(Some(address));
        address
    }
}

fn name(response: &Response) -> SocketAddr {
    response.head.headers["x-name"].to_str().unwrap().parse().unwrap()
}

/// Lets everything else run until this holds; the test's own limit of time bounds it.
async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}
