//! Clients of the state-of-the-world protocol.

use wattle_api::Kind as ObjectKind;

use super::*;

fn envoy(manifests: &str) -> (Bench, Client) {
    let mut bench = Bench::new(manifests);
    let client = Client::connect(&mut bench, 1, "reviews-0", Method::World);
    (bench, client)
}

#[test]
fn a_sidecar_is_told_everything_in_order() {
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
    assert!(bench.status().synced, "{:?}", bench.status());
    assert!(bench.apply(MANIFESTS).is_empty());
}

#[test]
fn a_cluster_is_in_every_response_until_no_route_can_lead_to_it() {
    let (mut bench, mut client) = envoy(&format!("{MANIFESTS}---{RATINGS}"));
    let both = bench.delete(ObjectKind::Service, "ratings");
    let moved = client.take(&mut bench, both);
    assert_eq!(moved[0], "lds 10.0.0.1:9080 inbound");
    assert!(
        moved.contains(&"cds default/reviews:9080".to_owned()),
        "clusters go last: {moved:?}"
    );
    assert!(bench.status().synced, "{:?}", bench.status());
}

#[test]
fn one_service_in_the_place_of_another_is_made_before_the_other_is_broken() {
    let (mut bench, mut client) = envoy(&format!("{MANIFESTS}---{RATINGS}"));
    let gone = Event::Delete(ObjectKey::new(ObjectKind::Service, "default", "ratings"));
    let fresh = RATINGS.replace("ratings", "stars");
    let object = wattle_api::parse(&fresh, "mesh.yaml").objects.remove(0);
    let pushes = bench.batch(vec![gone, Event::Apply(Arc::new(object))]);
    let said = client.take(&mut bench, pushes);
    assert_eq!(
        said[0],
        "cds default/ratings:9080 default/reviews:9080 default/stars:9080"
    );
    let last = said.iter().rfind(|line| line.starts_with("cds")).unwrap();
    assert_eq!(last, "cds default/reviews:9080 default/stars:9080");
}

#[test]
fn endpoints_that_did_not_change_are_not_repeated() {
    let (mut bench, mut client) = envoy(&format!("{MANIFESTS}---{RATINGS}"));
    let pushes = bench.apply(&MANIFESTS.replace("10.244.0.2", "10.244.0.9"));
    assert_eq!(client.take(&mut bench, pushes), ["eds default/reviews:9080"]);
}

#[test]
fn a_refusal_keeps_the_old_version_in_the_status() {
    let (mut bench, mut client) = envoy(MANIFESTS);
    client.refuse = Some("not today");
    let pushes = bench.apply(&MANIFESTS.replace("appProtocol: http", "appProtocol: grpc"));
    client.take(&mut bench, pushes);
    let status = bench.status();
    let cluster = status.resources.iter().find(|one| one.kind == "Cluster").unwrap();
    assert_eq!(cluster.refused.as_deref(), Some("not today"));
    assert_ne!(cluster.acked, cluster.version);
}

#[test]
fn an_answer_to_an_overtaken_response_is_none() {
    let mut bench = Bench::new(MANIFESTS);
    bench.open(1, "reviews", Method::World);
    let ask = |names: &[&str], nonce: &str| {
        Request::World(DiscoveryRequest {
            node: node("client", "gRPC C-core linux"),
            type_url: Kind::Listener.type_url().to_owned(),
            resource_names: names.iter().map(ToString::to_string).collect(),
            response_nonce: nonce.to_owned(),
            ..DiscoveryRequest::default()
        })
    };
    let first = bench.say(1, ask(&["reviews:9080"], ""));
    assert_eq!(read(first[0].1.as_ref().unwrap()), "lds reviews:9080");
    assert!(bench.say(1, ask(&["reviews:9080"], "stale")).is_empty());
    assert_eq!(bench.status().pending, 1);
    // Asking for more acknowledges what came before.
    let second = bench.say(1, ask(&["reviews:9080", "none:1"], "1"));
    assert_eq!(read(second[0].1.as_ref().unwrap()), "lds none:1 reviews:9080");
    assert!(bench.say(1, ask(&["reviews:9080", "none:1"], "2")).is_empty());
    assert!(bench.status().synced, "{:?}", bench.status());
    // One less: nothing to say, and the listener is forgotten.
    assert!(bench.say(1, ask(&["reviews:9080"], "2")).is_empty());
    assert_eq!(bench.status().resources.len(), 1);
}

#[test]
fn who_takes_all_and_there_is_nothing_is_told_so() {
    let mut bench = Bench::new("");
    let client = Client::connect(&mut bench, 1, "reviews-0", Method::World);
    assert_eq!(client.log, ["cds ", "lds "]);
}

#[test]
fn a_host_that_several_namespaces_declare_is_dialled_at_the_address_of_each() {
    let entry = |namespace: &str, address: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n\
             metadata: {{name: api, namespace: {namespace}}}\nspec: {{hosts: [api.example], addresses: [{address}], \
             resolution: STATIC, endpoints: [{{address: 192.0.2.1}}], ports: [{{number: 80, name: http, protocol: HTTP}}]}}\n"
        )
    };
    let manifests = format!(
        "{MANIFESTS}{}{}",
        entry("default", "10.9.0.1"),
        entry("other", "10.9.0.2")
    );
    let (_, client) = envoy(&manifests);
    assert!(
        client
            .log
            .contains(&"lds 10.0.0.1:9080 10.9.0.1:80 10.9.0.2:80 inbound".to_owned()),
        "{:?}",
        client.log
    );
}
