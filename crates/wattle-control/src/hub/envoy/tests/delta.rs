//! Clients of the delta protocol.

use wattle_api::Kind as ObjectKind;

use super::*;

fn envoy(manifests: &str) -> (Bench, Client) {
    let mut bench = Bench::new(manifests);
    let client = Client::connect(&mut bench, 1, "reviews-0", Method::Delta);
    (bench, client)
}

#[test]
fn a_sidecar_is_told_everything_it_can_dial_each_kind_before_what_refers_to_it() {
    let (mut bench, client) = envoy(MANIFESTS);
    assert_eq!(
        client.log,
        [
            "cds default/reviews:9080",
            "eds default/reviews:9080",
            "lds 10.0.0.1:9080 inbound",
            "rds 10.0.0.1:9080",
        ]
    );
    let status = bench.status();
    assert!(status.synced, "{status:?}");
    assert_eq!((&*status.node, &*status.agent), ("default/reviews-0", "envoy"));
    assert_eq!(status.resources.len(), 5);
}

#[test]
fn nothing_is_sent_for_objects_that_it_does_not_see_or_that_mean_the_same() {
    let (mut bench, _) = envoy(MANIFESTS);
    assert!(bench.apply(MANIFESTS).is_empty());
    let labelled = MANIFESTS.replace("{name: reviews}", "{name: reviews, annotations: {owner: us}}");
    assert!(bench.apply(&labelled).is_empty());
}

#[test]
fn only_what_changed_is_sent() {
    let (mut bench, mut client) = envoy(MANIFESTS);
    let moved = bench.apply(&MANIFESTS.replace("10.244.0.2", "10.244.0.9"));
    assert_eq!(client.take(&mut bench, moved), ["eds default/reviews:9080"]);
    assert!(bench.status().synced);
}

#[test]
fn a_new_service_comes_in_order_and_a_removed_one_goes_in_the_opposite_one() {
    let (mut bench, mut client) = envoy(MANIFESTS);
    let pushes = bench.apply(RATINGS);
    assert_eq!(
        client.take(&mut bench, pushes),
        [
            "cds default/ratings:9080",
            "eds default/ratings:9080",
            "lds 10.0.0.2:9080",
            "rds 10.0.0.2:9080"
        ]
    );
    let pushes = bench.delete(ObjectKind::Service, "ratings");
    let gone = client.take(&mut bench, pushes);
    assert_eq!(
        gone,
        [
            "lds -10.0.0.2:9080",
            "rds -10.0.0.2:9080",
            "cds -default/ratings:9080",
            "eds -default/ratings:9080"
        ]
    );
    assert!(bench.status().synced, "{:?}", bench.status());
}

#[test]
fn a_cluster_that_is_replaced_gets_its_endpoints_again() {
    let (mut bench, mut client) = envoy(MANIFESTS);
    let pushes = bench.apply(&MANIFESTS.replace("appProtocol: http", "appProtocol: grpc"));
    assert_eq!(
        client.take(&mut bench, pushes),
        ["cds default/reviews:9080", "eds default/reviews:9080"]
    );
}

#[test]
fn a_refused_cluster_shows_in_the_status_is_not_sent_again_and_holds_nothing_up() {
    let (mut bench, mut client) = envoy(MANIFESTS);
    client.refuse = Some("Error adding/updating cluster(s) default/reviews:9080: no such transport");
    let pushes = bench.apply(&MANIFESTS.replace("appProtocol: http", "appProtocol: grpc"));
    assert_eq!(
        client.take(&mut bench, pushes),
        ["cds default/reviews:9080", "eds default/reviews:9080"]
    );
    let status = bench.status();
    assert_eq!((status.refused, status.pending, status.synced), (1, 0, false));
    let nacks = &bench.hub.metrics.nacks;
    assert_eq!(nacks.load(std::sync::atomic::Ordering::Relaxed), 1);
    client.refuse = None;
    let pushes = bench.apply(MANIFESTS);
    assert_eq!(client.take(&mut bench, pushes)[0], "cds default/reviews:9080");
    assert!(bench.status().synced, "{:?}", bench.status());
}

#[test]
fn a_name_in_the_reason_is_the_one_refused_and_not_one_that_it_begins_with() {
    let (mut bench, mut client) = envoy(&format!("{MANIFESTS}---{RATINGS}"));
    client.refuse = Some("cluster default/ratings:90801: bad");
    let both = format!("{MANIFESTS}---{RATINGS}")
        .replace("appProtocol: http", "appProtocol: grpc")
        .replace("{port: 9080}", "{port: 9080, appProtocol: tcp}");
    let pushes = bench.apply(&both);
    client.take(&mut bench, pushes);
    let refused = |bench: &mut Bench| {
        let resources = bench.status().resources.into_iter();
        let refused = resources.filter(|one| one.refused.is_some()).map(|one| one.name);
        refused.collect::<Vec<_>>()
    };
    assert_eq!(refused(&mut bench).len(), 2, "who names none refuses all");
    client.refuse = Some("cluster default/ratings:9080: bad");
    let pushes = bench.apply(&format!("{MANIFESTS}---{RATINGS}"));
    client.take(&mut bench, pushes);
    assert_eq!(refused(&mut bench), ["default/ratings:9080"]);
}

#[test]
fn what_a_client_still_holds_is_not_sent_again_and_what_is_gone_is_taken_away() {
    let (mut bench, _) = envoy(MANIFESTS);
    let resources = bench.status().resources.into_iter();
    let version = resources
        .filter(|one| one.name == REVIEWS)
        .find_map(|one| one.version)
        .unwrap();
    bench.hub.closed(1);
    bench.open(1, "reviews", Method::Delta);
    let held = [(REVIEWS, &*version), ("default/old:80", "any")];
    let request = DeltaDiscoveryRequest {
        node: node("reviews-0", "envoy"),
        type_url: Kind::Cluster.type_url().to_owned(),
        initial_resource_versions: held
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .into(),
        ..DeltaDiscoveryRequest::default()
    };
    let pushes = bench.say(1, Request::Delta(request));
    let said: Vec<_> = pushes
        .iter()
        .map(|(_, push)| read(push.as_ref().unwrap()))
        .collect();
    // The first response says that nothing is new; what is gone goes when the client has all that is there.
    assert_eq!(said, ["cds "]);
    let nonce = |pushes: &[Push]| match pushes[0].1.as_ref().unwrap() {
        Answer::Delta(response) => response.nonce.clone(),
        Answer::World(_) => panic!("a delta stream"),
    };
    let ack = DeltaDiscoveryRequest {
        type_url: Kind::Cluster.type_url().to_owned(),
        response_nonce: nonce(&pushes),
        ..DeltaDiscoveryRequest::default()
    };
    let pushes = bench.say(1, Request::Delta(ack));
    assert_eq!(read(pushes[0].1.as_ref().unwrap()), "cds -default/old:80");
}

#[test]
fn what_is_asked_for_again_is_sent_again_and_what_is_not_there_is_said_to_be_absent() {
    let (mut bench, mut client) = envoy(MANIFESTS);
    let request = client.request(Kind::Endpoints, &[REVIEWS, "default/none:1"], None, false);
    let pushes = bench.say(1, request);
    assert_eq!(
        client.take(&mut bench, pushes),
        ["eds -default/none:1 default/reviews:9080"]
    );
}

#[test]
fn a_grpc_program_is_told_of_the_hosts_it_asks_for_and_of_nothing_else() {
    let mut bench = Bench::new(&format!("{MANIFESTS}---{RATINGS}"));
    bench.open(1, "client", Method::Delta);
    let ask = |kind: Kind, names: &[&str]| {
        Request::Delta(DeltaDiscoveryRequest {
            node: node("client", "gRPC C-core linux"),
            type_url: kind.type_url().to_owned(),
            resource_names_subscribe: names.iter().map(ToString::to_string).collect(),
            ..DeltaDiscoveryRequest::default()
        })
    };
    let said = |pushes: Vec<Push>| read(pushes[0].1.as_ref().unwrap());
    let pushes = bench.say(1, ask(Kind::Listener, &["reviews:9080"]));
    assert_eq!(said(pushes), "lds reviews:9080");
    assert_eq!(
        bench.hub.mesh.kept(),
        3,
        "destination, endpoints, its own inbound"
    );
    assert!(bench.apply(&RATINGS.replace("9080", "9081")).is_empty());
    assert!(bench.hub.envoys.sidecars.is_empty());
}
