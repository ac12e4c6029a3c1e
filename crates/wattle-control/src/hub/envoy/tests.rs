//! Scripted clients of standard xDS against the hub, with an encoding simple enough to be read.
#![allow(clippy::unwrap_used)]

mod delta;
mod session;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use prost::Message;
use wattle_api::{Kind as ObjectKind, ObjectKey};
use wattle_compile::Settings;
use wattle_envoy::{Kind, Resource, Resources};
use wattle_source::{Event, Snapshot};
use wattle_wire::proto::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Node, Status,
};

use super::scene::Subject;
use crate::hub::{Answer, Denied, Hub, Method, Push, Request};
use crate::metrics::Metrics;
use crate::view::ProxyStatus;
use crate::virtual_ips::VirtualIps;

const MANIFESTS: &str = "
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {clusterIP: 10.0.0.1, selector: {app: reviews}, ports: [{port: 9080, appProtocol: http}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-0, labels: {app: reviews, wattle.io/proxy: enabled}}
spec: {address: 10.244.0.2, serviceAccount: reviews}
";
const RATINGS: &str = "
apiVersion: v1
kind: Service
metadata: {name: ratings}
spec: {clusterIP: 10.0.0.2, selector: {app: ratings}, ports: [{port: 9080}]}
";
const REVIEWS: &str = "default/reviews:9080";

/// As much of a message as a [`Session`](super::session::Session) reads, and a text that changes with the value.
#[derive(Clone, PartialEq, Message)]
struct Simple {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "3")]
    eds: Option<()>,
    #[prost(string, tag = "100")]
    text: String,
}

/// A cluster for each backend, its endpoints, a listener and a route for each destination.
fn simple(subject: Subject<'_>) -> Resources {
    let mut all = Resources::default();
    let mut add = |kind: Kind, name: &str, text: String| {
        let name = name.to_owned();
        let eds = (kind == Kind::Cluster).then_some(());
        let body = Simple {
            name: name.clone(),
            eds,
            text: text.clone(),
        };
        let resource = Resource {
            body: body.encode_to_vec().into(),
            version: text.into(),
        };
        all.resources
            .entry(kind)
            .or_default()
            .insert(name.into(), resource);
    };
    for destination in subject.seen.destinations() {
        for backend in &destination.backends {
            add(Kind::Cluster, &backend.id, format!("{:?}", backend.protocol));
        }
        add(Kind::Listener, &destination.name, "there".to_owned());
        let backends: Vec<_> = destination.backends.iter().map(|backend| &backend.id).collect();
        add(Kind::Route, &destination.name, format!("{backends:?}"));
    }
    for (id, endpoints) in subject.seen.endpoints() {
        let addresses = endpoints.endpoints.iter().map(|one| one.address.to_string());
        add(Kind::Endpoints, id, addresses.collect::<Vec<_>>().join(","));
    }
    if let Some(inbound) = subject.inbound {
        add(Kind::Listener, "inbound", format!("{:?}", inbound.mtls));
    }
    all
}

struct Bench {
    hub: Hub,
    now: Instant,
}

impl Bench {
    fn new(manifests: &str) -> Self {
        let settings = (Settings::default(), VirtualIps::default());
        let mut hub = Hub::new(settings.0, settings.1, Arc::new(Metrics::default()));
        hub.envoys.encode = simple;
        let now = Instant::now();
        let objects = wattle_api::parse(manifests, "mesh.yaml").objects.into_iter();
        let snapshot = Snapshot {
            objects: objects.map(Arc::new).collect(),
            ..Snapshot::default()
        };
        hub.apply(vec![Event::Reset(snapshot)], now);
        hub.flush(now);
        Self { hub, now }
    }

    fn open(&mut self, id: u64, account: &str, method: Method) {
        let peer = format!("spiffe://cluster.local/ns/default/sa/{account}");
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        self.hub
            .opened(id, (peer.parse().unwrap(), address), method, self.now);
    }

    /// Applies objects and gives what is sent for it.
    fn apply(&mut self, text: &str) -> Vec<Push> {
        let objects = wattle_api::parse(text, "mesh.yaml").objects;
        let events = objects.into_iter().map(|object| Event::Apply(Arc::new(object)));
        self.batch(events.collect())
    }

    fn delete(&mut self, kind: ObjectKind, name: &str) -> Vec<Push> {
        self.batch(vec![Event::Delete(ObjectKey::new(kind, "default", name))])
    }

    fn batch(&mut self, events: Vec<Event>) -> Vec<Push> {
        self.hub.apply(events, self.now);
        self.hub.flush(self.now);
        self.hub.take_outbox()
    }

    fn say(&mut self, id: u64, request: Request) -> Vec<Push> {
        self.hub.requested(id, request, self.now);
        self.hub.take_outbox()
    }

    fn status(&mut self) -> ProxyStatus {
        self.hub.census(self.now).proxies.remove(0)
    }
}

fn node(name: &str, program: &str) -> Option<Node> {
    Some(Node {
        id: format!("default/{name}"),
        user_agent_name: program.to_owned(),
        ..Node::default()
    })
}

fn refusal(reason: Option<&str>) -> Option<Status> {
    reason.map(|reason| Status {
        code: 3,
        message: reason.to_owned(),
    })
}

fn word(type_url: &str) -> &'static str {
    match Kind::of_type_url(type_url).unwrap() {
        Kind::Cluster => "cds",
        Kind::Endpoints => "eds",
        Kind::Listener => "lds",
        Kind::Route => "rds",
    }
}

/// Names of the bodies of a response, with a minus before what is gone.
fn read(answer: &Answer) -> String {
    let name = |bytes: &bytes::Bytes| Simple::decode(bytes.clone()).unwrap().name;
    let (type_url, mut names) = match answer {
        Answer::Delta(response) => {
            let set = response.resources.iter().map(|one| one.name.clone());
            let gone = response.removed_resources.iter().map(|name| format!("-{name}"));
            (&response.type_url, set.chain(gone).collect::<Vec<_>>())
        }
        Answer::World(response) => {
            let set = response.resources.iter().map(|one| name(&one.value));
            (&response.type_url, set.collect())
        }
    };
    names.sort();
    format!("{} {}", word(type_url), names.join(" "))
}

/// A client that behaves like an Envoy: it takes all clusters and listeners, then asks for what those name.
struct Client {
    id: u64,
    method: Method,
    /// Everything that was sent, in order.
    log: Vec<String>,
    nonces: std::collections::BTreeMap<String, String>,
    asked: std::collections::BTreeSet<String>,
    refuse: Option<&'static str>,
}

impl Client {
    fn connect(bench: &mut Bench, id: u64, name: &str, method: Method) -> Self {
        bench.open(id, "reviews", method);
        let mut client = Self {
            id,
            method,
            log: Vec::new(),
            nonces: Default::default(),
            asked: Default::default(),
            refuse: None,
        };
        for kind in [Kind::Cluster, Kind::Listener] {
            let request = client.request(kind, &[], Some(name), false);
            let pushes = bench.say(id, request);
            client.take(bench, pushes);
        }
        client
    }

    /// Answers everything until nothing more comes; gives what came.
    fn take(&mut self, bench: &mut Bench, pushes: Vec<Push>) -> Vec<String> {
        let before = self.log.len();
        let mut open: std::collections::VecDeque<_> = pushes.into();
        while let Some((_, push)) = open.pop_front() {
            let answer = push.unwrap();
            self.log.push(read(&answer));
            let (type_url, nonce, names) = match &answer {
                Answer::Delta(DeltaDiscoveryResponse {
                    type_url,
                    nonce,
                    resources,
                    ..
                }) => {
                    let names = resources.iter().map(|one| one.name.clone());
                    (type_url, nonce, names.collect::<Vec<_>>())
                }
                Answer::World(DiscoveryResponse {
                    type_url,
                    nonce,
                    resources,
                    ..
                }) => {
                    let names = resources
                        .iter()
                        .map(|one| Simple::decode(one.value.clone()).unwrap().name);
                    (type_url, nonce, names.collect())
                }
            };
            self.nonces.insert(type_url.clone(), nonce.clone());
            let kind = Kind::of_type_url(type_url).unwrap();
            // As Envoy does: what a resource leads to is asked for before the resource is acknowledged.
            let leads_to = match kind {
                Kind::Cluster => Some(Kind::Endpoints),
                Kind::Listener => Some(Kind::Route),
                _ => None,
            };
            if let Some(next) = leads_to {
                let fresh = names
                    .iter()
                    .filter(|name| *name != "inbound" && self.asked.insert(format!("{next:?} {name}")));
                let fresh: Vec<&str> = fresh.map(String::as_str).collect();
                if !fresh.is_empty() {
                    let request = self.request(next, &fresh, None, false);
                    let pushes = bench.say(self.id, request);
                    // Envoy answers clusters only when they are warm, so that their endpoints cannot wait for that.
                    assert!(
                        kind != Kind::Cluster || !pushes.is_empty(),
                        "{fresh:?} have to wait"
                    );
                    open.extend(pushes);
                }
            }
            let request = self.request(kind, &[], None, true);
            open.extend(bench.say(self.id, request));
        }
        self.log[before..].to_vec()
    }

    fn request(&mut self, kind: Kind, names: &[&str], introduce: Option<&str>, answer: bool) -> Request {
        let node = introduce.and_then(|name| node(name, "envoy"));
        let error_detail = refusal(self.refuse.filter(|_| answer && kind == Kind::Cluster));
        let type_url = kind.type_url().to_owned();
        let nonce = self.nonces.get(&type_url).cloned().unwrap_or_default();
        match self.method {
            Method::Delta => Request::Delta(DeltaDiscoveryRequest {
                node,
                type_url,
                resource_names_subscribe: names.iter().map(ToString::to_string).collect(),
                response_nonce: if answer { nonce } else { String::new() },
                error_detail,
                ..DeltaDiscoveryRequest::default()
            }),
            Method::World => {
                let prefix = format!("{kind:?} ");
                let asked = self.asked.iter().filter_map(|name| name.strip_prefix(&prefix));
                Request::World(DiscoveryRequest {
                    node,
                    type_url,
                    resource_names: asked.map(str::to_owned).collect(),
                    response_nonce: nonce,
                    error_detail,
                    ..DiscoveryRequest::default()
                })
            }
        }
    }
}

#[test]
fn a_stream_of_another_namespace_or_of_nobody_is_refused() {
    let mut bench = Bench::new(MANIFESTS);
    for (id, name) in [(1, "shop/reviews-0"), (2, "")] {
        bench.open(id, "reviews", Method::World);
        let request = DiscoveryRequest {
            node: Some(Node {
                id: name.to_owned(),
                ..Node::default()
            }),
            type_url: Kind::Cluster.type_url().to_owned(),
            ..DiscoveryRequest::default()
        };
        let pushed = bench.say(id, Request::World(request));
        assert!(
            matches!(pushed[..], [(_, Err(Denied::Node { .. }))]),
            "{pushed:?}"
        );
    }
}

#[test]
fn a_workload_of_another_account_is_nobodys_to_ask_for() {
    let mut bench = Bench::new(MANIFESTS);
    bench.open(1, "client", Method::Delta);
    let request = DeltaDiscoveryRequest {
        node: node("reviews-0", "envoy"),
        type_url: Kind::Cluster.type_url().to_owned(),
        ..DeltaDiscoveryRequest::default()
    };
    let pushed = bench.say(1, Request::Delta(request));
    assert!(
        matches!(pushed[..], [(1, Err(Denied::Foreign { .. }))]),
        "{pushed:?}"
    );
    assert_eq!(bench.hub.mesh.kept(), 0, "what was compiled for it is forgotten");
}

#[test]
fn what_both_a_proxy_of_ours_and_an_envoy_read_is_kept_until_both_are_gone() {
    let mut bench = Bench::new(MANIFESTS);
    let mut client = Client::connect(&mut bench, 1, "reviews-0", Method::Delta);
    let kept = bench.hub.mesh.kept();
    bench.open(2, "client", Method::Delta);
    let request = DeltaDiscoveryRequest {
        type_url: wattle_wire::Kind::Endpoints.type_url().to_owned(),
        resource_names_subscribe: vec![REVIEWS.to_owned()],
        ..DeltaDiscoveryRequest::default()
    };
    bench.say(2, Request::Delta(request));
    bench.hub.closed(2);
    assert_eq!(bench.hub.mesh.kept(), kept);
    let moved = bench.apply(&MANIFESTS.replace("10.244.0.2", "10.244.0.9"));
    assert!(
        !client.take(&mut bench, moved).is_empty(),
        "still told of changes"
    );
    bench.hub.closed(1);
    assert_eq!(bench.hub.mesh.kept(), 0);
}
