//! The hub without a network: batches and requests in, responses out.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use wattle_compile::Settings;
use wattle_source::{Event, Snapshot};
use wattle_wire::Kind;
use wattle_wire::proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Status};

use super::{Answer, Denied, Hub, Method, Request};
use crate::metrics::Metrics;
use crate::virtual_ips::VirtualIps;

const MANIFESTS: &str = "
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {selector: {app: reviews}, ports: [{port: 9080, appProtocol: http}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-0, labels: {app: reviews, wattle.io/proxy: enabled}}
spec: {address: 10.244.0.2, serviceAccount: reviews}
";

struct Bench {
    hub: Hub,
    now: Instant,
}

impl Bench {
    fn silent() -> Self {
        let hub = Hub::new(
            Settings::default(),
            VirtualIps::default(),
            Arc::new(Metrics::default()),
        );
        Self {
            hub,
            now: Instant::now(),
        }
    }

    fn new() -> Self {
        let mut bench = Self::silent();
        bench.reset(MANIFESTS);
        bench
    }

    fn reset(&mut self, text: &str) {
        let objects = wattle_api::parse(text, "mesh.yaml")
            .objects
            .into_iter()
            .map(Arc::new)
            .collect();
        self.hub.apply(
            vec![Event::Reset(Snapshot {
                objects,
                ..Snapshot::default()
            })],
            self.now,
        );
        self.hub.flush(self.now);
    }

    fn apply(&mut self, text: &str) -> super::config::Taken {
        let objects = wattle_api::parse(text, "mesh.yaml").objects;
        self.hub.apply(
            objects
                .into_iter()
                .map(|object| Event::Apply(Arc::new(object)))
                .collect(),
            self.now,
        )
    }

    fn open(&mut self, id: u64, account: &str) {
        let peer = format!("spiffe://cluster.local/ns/default/sa/{account}")
            .parse()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        self.hub.opened(id, (peer, address), Method::Delta, self.now);
    }

    fn request(&mut self, id: u64, request: DeltaDiscoveryRequest) -> Vec<DeltaDiscoveryResponse> {
        self.hub.requested(id, Request::Delta(request), self.now);
        self.responses()
    }

    fn subscribe(&mut self, id: u64, kind: Kind, name: &str) -> Vec<DeltaDiscoveryResponse> {
        let resource_names_subscribe = vec![name.to_owned()];
        self.request(
            id,
            DeltaDiscoveryRequest {
                type_url: kind.type_url().to_owned(),
                resource_names_subscribe,
                ..Default::default()
            },
        )
    }

    fn answer(
        &mut self,
        id: u64,
        response: &DeltaDiscoveryResponse,
        refusal: Option<&str>,
    ) -> Vec<DeltaDiscoveryResponse> {
        let error_detail = refusal.map(|message| Status {
            code: 3,
            message: message.to_owned(),
        });
        let (type_url, response_nonce) = (response.type_url.clone(), response.nonce.clone());
        self.request(
            id,
            DeltaDiscoveryRequest {
                type_url,
                response_nonce,
                error_detail,
                ..Default::default()
            },
        )
    }

    fn flush(&mut self) -> Vec<DeltaDiscoveryResponse> {
        self.hub.flush(self.now);
        self.responses()
    }

    fn responses(&mut self) -> Vec<DeltaDiscoveryResponse> {
        self.hub
            .take_outbox()
            .into_iter()
            .map(|(_, push)| match push.unwrap() {
                Answer::Delta(response) => response,
                Answer::World(response) => panic!("not a delta response: {response:?}"),
            })
            .collect()
    }
}

fn bytes(response: &DeltaDiscoveryResponse) -> *const u8 {
    response.resources[0].resource.as_ref().unwrap().value.as_ptr()
}

#[test]
fn two_hundred_streams_share_the_bytes_of_one_resource() {
    let mut bench = Bench::new();
    let mut pointers = Vec::new();
    for id in 0..200 {
        bench.open(id, "client");
        let responses = bench.subscribe(id, Kind::Destination, "reviews:9080");
        pointers.push(bytes(&responses[0]));
        bench.answer(id, &responses[0], None);
    }
    assert!(pointers.iter().all(|pointer| *pointer == pointers[0]));
    let compiled = bench.hub.mesh.compiled();
    bench.apply(&MANIFESTS.replace("appProtocol: http", "appProtocol: grpc"));
    let pushed = bench.flush();
    assert_eq!(pushed.len(), 200);
    assert!(pushed.iter().all(|response| bytes(response) == bytes(&pushed[0])));
    assert_eq!(bench.hub.mesh.compiled(), compiled + 1, "compiled once for all");
}

#[test]
fn nobody_is_answered_before_the_sources_have_spoken() {
    let mut bench = Bench::silent();
    bench.open(1, "reviews");
    assert_eq!(bench.subscribe(1, Kind::Inbound, "default/reviews-0"), Vec::new());
    assert!(!bench.hub.census(bench.now).ready);
    bench.reset(MANIFESTS);
    let responses = bench.responses();
    assert_eq!(responses.len(), 1);
    assert_eq!(responses[0].resources[0].name, "default/reviews-0");
}

#[test]
fn names_are_those_of_the_peers_own_namespace() {
    let mut bench = Bench::new();
    bench.open(1, "client");
    let found = bench.subscribe(1, Kind::Names, "default");
    assert_eq!(found[0].resources[0].name, "default");
    bench.hub.requested(
        1,
        Request::Delta(DeltaDiscoveryRequest {
            type_url: Kind::Names.type_url().to_owned(),
            resource_names_subscribe: vec!["other".to_owned()],
            ..Default::default()
        }),
        bench.now,
    );
    let outbox = bench.hub.take_outbox();
    assert!(
        matches!(outbox.as_slice(), [(1, Err(Denied::Foreign { .. }))]),
        "{outbox:?}"
    );
}

#[test]
fn whoever_waited_for_what_is_not_his_is_refused_when_the_sources_speak() {
    let mut bench = Bench::silent();
    bench.open(1, "client");
    bench.subscribe(1, Kind::Inbound, "default/reviews-0");
    bench.reset(MANIFESTS);
    let outbox = bench.hub.take_outbox();
    assert!(
        matches!(outbox.as_slice(), [(1, Err(Denied::Foreign { .. }))]),
        "{outbox:?}"
    );
    assert!(bench.hub.streams.is_empty() && bench.hub.wanted.is_empty());
}

#[test]
fn an_inbound_whose_account_changes_is_taken_from_its_former_owner() {
    let mut bench = Bench::new();
    bench.open(1, "reviews");
    let first = bench.subscribe(1, Kind::Inbound, "default/reviews-0");
    bench.answer(1, &first[0], None);
    bench.apply(&MANIFESTS.replace("serviceAccount: reviews", "serviceAccount: other"));
    let pushed = bench.flush();
    assert_eq!(pushed[0].removed_resources, ["default/reviews-0"]);
    assert!(pushed[0].resources.is_empty());
}

#[test]
fn what_only_others_read_is_neither_compiled_nor_pushed() {
    let mut bench = Bench::new();
    bench.open(1, "client");
    let first = bench.subscribe(1, Kind::Destination, "reviews:9080");
    bench.answer(1, &first[0], None);
    let compiled = bench.hub.mesh.compiled();
    bench.apply("apiVersion: v1\nkind: Service\nmetadata: {name: other}\nspec: {ports: [{port: 80}]}\n");
    assert_eq!(bench.flush(), Vec::new());
    assert_eq!(bench.hub.mesh.compiled(), compiled);
}

#[test]
fn a_refusal_shows_in_the_status_until_a_newer_version_is_taken() {
    let mut bench = Bench::new();
    bench.open(1, "client");
    let first = bench.subscribe(1, Kind::Destination, "reviews:9080");
    bench.answer(1, &first[0], Some("reviews:9080: no such thing"));
    let census = bench.hub.census(bench.now);
    let resource = &census.proxies[0].resources[0];
    assert_eq!(resource.refused.as_deref(), Some("reviews:9080: no such thing"));
    assert_eq!(
        (
            census.proxies[0].refused,
            census.proxies[0].pending,
            census.proxies[0].synced
        ),
        (1, 0, false)
    );
    assert_eq!(
        bench.hub.metrics.nacks.load(std::sync::atomic::Ordering::Relaxed),
        1
    );

    bench.apply(&MANIFESTS.replace("appProtocol: http", "appProtocol: grpc"));
    let second = bench.flush();
    assert_eq!(bench.hub.census(bench.now).proxies[0].pending, 1);
    bench.answer(1, &second[0], None);
    let census = bench.hub.census(bench.now);
    assert!(census.proxies[0].synced, "{:?}", census.proxies[0]);
}

#[test]
fn an_endpoint_that_goes_is_urgent_and_one_that_comes_is_not() {
    let mut bench = Bench::new();
    assert!(!bench.apply(&MANIFESTS.replace("10.244.0.2", "10.244.0.9")).urgent);
    let unhealthy = MANIFESTS.replace(
        "serviceAccount: reviews}",
        "serviceAccount: reviews}\nstatus: {conditions: [{type: Healthy, status: 'False'}]}",
    );
    assert!(bench.apply(&unhealthy).urgent);
    let key = wattle_api::ObjectKey::new(wattle_api::Kind::WorkloadEntry, "default", "reviews-0");
    assert!(bench.hub.apply(vec![Event::Delete(key)], bench.now).urgent);
}

#[test]
fn what_nobody_wants_any_more_is_forgotten() {
    let mut bench = Bench::new();
    for id in [1, 2] {
        bench.open(id, "client");
        bench.subscribe(id, Kind::Destination, "reviews:9080");
    }
    bench.hub.closed(1);
    assert_eq!((bench.hub.wanted.len(), bench.hub.mesh.kept()), (1, 1));
    bench.hub.closed(2);
    assert_eq!((bench.hub.wanted.len(), bench.hub.mesh.kept()), (0, 0));
}

#[test]
fn a_peers_address_in_another_spelling_does_not_exist() {
    let mut bench = Bench::new();
    bench.open(1, "client");
    let found = bench.subscribe(1, Kind::Peer, "10.244.0.2");
    assert_eq!(found[0].resources.len(), 1);
    bench.answer(1, &found[0], None);
    let odd = bench.subscribe(1, Kind::Peer, "::ffff:10.244.0.2");
    assert_eq!(odd[0].removed_resources, ["::ffff:10.244.0.2"]);
}
