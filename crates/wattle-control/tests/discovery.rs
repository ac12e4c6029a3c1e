//! Proxies join, subscribe, hear of changes, and nothing else.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, SystemTime};

use common::{MANIFESTS, World, eventually};
use tonic::Code;
use wattle_identity::{Authority, SpiffeId, Svid, SvidRequest, TrustDomain};
use wattle_wire::{Kind, Resource};

#[tokio::test]
async fn a_proxy_joins_subscribes_and_hears_of_an_edit() {
    let mut world = World::start(MANIFESTS).await;
    let mut proxy = world.join("client", "client-0").await;
    proxy.connect(&world).await.unwrap();
    let inbound = proxy.want(Kind::Inbound, "default/client-0").await;
    let destination = proxy.want(Kind::Destination, "reviews:9080").await;
    let endpoints = proxy.want(Kind::Endpoints, "default/reviews:9080").await;
    proxy.until(|proxy| proxy.held.len() == 3).await;
    assert!(
        matches!(&proxy.held[&inbound], Resource::Inbound(found) if &*found.workload.service_account == "client")
    );
    assert!(matches!(&proxy.held[&endpoints], Resource::Endpoints(found) if found.endpoints.len() == 1));

    let redirect = r"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: reviews}
spec:
  parentRefs: [{group: '', kind: Service, name: reviews}]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: other}}]}]
";
    world.write("route.yaml", redirect);
    proxy
        .until(|proxy| matches!(&proxy.held[&destination], Resource::Destination(found) if found.routes.rules().len() == 1))
        .await;
    eventually("the new version is acknowledged", async || {
        world.status().await.proxies[0].synced
    })
    .await;
    let status = world.status().await;
    assert_eq!(status.proxies[0].node, "default/client-0");
    assert_eq!(
        status.proxies[0].identity,
        "spiffe://cluster.local/ns/default/sa/client"
    );
    assert_eq!(status.proxies[0].resources.len(), 3);
    assert_eq!(world.metrics().await["connected_streams"], 1.0);
    world.stop().await;
}

#[tokio::test]
async fn an_edit_that_changes_no_meaning_pushes_nothing() {
    let world = World::start(MANIFESTS).await;
    let mut proxy = world.join("client", "client-0").await;
    proxy.connect(&world).await.unwrap();
    let destination = proxy.want(Kind::Destination, "reviews:9080").await;
    proxy.until(|proxy| proxy.held.contains_key(&destination)).await;
    let pushed = world.metrics().await["push_resources_total"];

    world.write(
        "mesh.yaml",
        &MANIFESTS.replace(
            "metadata: {name: reviews}",
            "metadata: {name: reviews, annotations: {a: b}}",
        ),
    );
    eventually("the edit is in force", async || {
        let (_, service) = world.ask("GET", "/objects/service/default/reviews", "").await;
        service.contains("annotations")
    })
    .await;
    // Something that does change arrives next: nothing came before it.
    world.write(
        "other.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: other}\nspec: {ports: [{port: 80}]}\n",
    );
    let other = proxy.want(Kind::Destination, "other:80").await;
    let service =
        |resource: &Resource| matches!(resource, Resource::Destination(found) if found.service.is_some());
    proxy
        .until(|proxy| proxy.held.get(&other).is_some_and(service))
        .await;
    let edits: f64 = world.metrics().await["push_resources_total"] - pushed;
    assert!(
        edits <= 2.0,
        "only what was asked for newly was sent, not {edits} resources"
    );
    assert!(proxy.received <= 3);
}

#[tokio::test]
async fn after_a_restart_a_proxy_that_holds_everything_is_sent_nothing() {
    let mut world = World::start(MANIFESTS).await;
    let mut proxy = world.join("client", "client-0").await;
    proxy.connect(&world).await.unwrap();
    let destination = proxy.want(Kind::Destination, "reviews:9080").await;
    proxy.want(Kind::Inbound, "default/client-0").await;
    proxy.until(|proxy| proxy.held.len() == 2).await;
    let held = proxy.held.clone();
    world.stop().await;
    assert_eq!(proxy.end().await.0, Code::Unavailable);

    world.resume(|_| {}).await;
    // The same certificate is good: the authority is the same.
    proxy.connect(&world).await.unwrap();
    eventually("the proxy counts as synced", async || {
        world
            .status()
            .await
            .proxies
            .first()
            .is_some_and(|proxy| proxy.synced && proxy.resources.len() == 2)
    })
    .await;
    assert_eq!(world.metrics().await["pushes_total"], 0.0);
    assert_eq!(proxy.held, held);

    world.write(
        "mesh.yaml",
        &MANIFESTS.replace("appProtocol: http", "appProtocol: grpc"),
    );
    proxy
        .until(|proxy| matches!(&proxy.held[&destination], Resource::Destination(found) if found.protocol.as_str() == "grpc"))
        .await;
}

#[tokio::test]
async fn a_proxy_that_waited_for_its_instance_is_told_when_it_appears() {
    let world = World::start("").await;
    let mut proxy = world.join("client", "client-0").await;
    proxy.connect(&world).await.unwrap();
    let inbound = proxy.want(Kind::Inbound, "default/client-0").await;
    proxy.until(|proxy| proxy.subscriber.answered(&inbound)).await;
    assert!(proxy.held.is_empty());
    world.write("mesh.yaml", MANIFESTS);
    proxy.until(|proxy| proxy.held.contains_key(&inbound)).await;
}

#[tokio::test]
async fn what_belongs_to_another_workload_is_refused() {
    let world = World::start(MANIFESTS).await;
    for (node, wanted, says) in [
        (
            "client-0",
            "default/reviews-0",
            "Inbound default/reviews-0 is not for",
        ),
        ("client-0", "other/client-0", "Inbound other/client-0 is not for"),
    ] {
        let mut proxy = world.join("client", node).await;
        proxy.connect(&world).await.unwrap();
        proxy.want(Kind::Inbound, wanted).await;
        let (code, message) = proxy.end().await;
        assert_eq!(code, Code::PermissionDenied);
        assert!(message.contains(says), "{message}");
    }
    let mut proxy = world.join("client", "client-0").await;
    proxy.node = "other/client-0".to_owned();
    proxy.connect(&world).await.unwrap();
    assert_eq!(proxy.end().await.0, Code::PermissionDenied);
    assert_eq!(world.metrics().await["connected_streams"], 0.0);
}

#[tokio::test]
async fn discovery_needs_a_certificate_of_this_mesh() {
    let world = World::start(MANIFESTS).await;
    let channel = common::dial(&world, {
        let bundles = std::sync::Arc::new(world.bundles());
        let expected: SpiffeId = "spiffe://cluster.local/ns/wattle-system/sa/wattle-control"
            .parse()
            .unwrap();
        wattle_identity::TlsSettings::new(bundles, &[b"h2"])
            .anonymous_client(wattle_identity::Expected::only(expected))
            .unwrap()
    })
    .await
    .unwrap();
    let mut client =
        wattle_wire::proto::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient::new(channel);
    let status = client
        .delta_aggregated_resources(tokio_stream::empty())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("client certificate"), "{status}");

    let trust_domain = TrustDomain::new("cluster.local").unwrap();
    let forger = Authority::create(&trust_domain, SystemTime::now()).unwrap();
    turned_away(&world, certified(&forger, &trust_domain)).await;
}

#[tokio::test]
async fn a_certificate_of_a_federated_domain_is_none_of_this_mesh() {
    let mut world = World::start(MANIFESTS).await;
    world.stop().await;
    let elsewhere = TrustDomain::new("elsewhere.example").unwrap();
    let foreign = Authority::create(&elsewhere, SystemTime::now()).unwrap();
    let roots = world.state.path().join("elsewhere.pem");
    std::fs::write(&roots, foreign.bundle().unwrap().to_pem()).unwrap();
    world
        .resume(|config| config.trust.federated = vec![("elsewhere.example".into(), roots)])
        .await;
    turned_away(&world, certified(&foreign, &elsewhere)).await;
}

/// A certificate for the account of a workload.
fn certified(authority: &Authority, trust_domain: &TrustDomain) -> Svid {
    let id = SpiffeId::new(trust_domain, "default", "client").unwrap();
    let request = SvidRequest::new(&id).unwrap();
    let issued = authority
        .sign(request.csr_pem(), &id, SystemTime::now(), Duration::ZERO)
        .unwrap();
    request.into_svid(&issued.chain_pem()).unwrap()
}

/// The handshake of whoever shows this certificate fails.
async fn turned_away(world: &World, svid: Svid) {
    let mut proxy = common::Proxy::new(svid, "default/client-0");
    // TLS 1.3 lets the client finish first: the refusal shows at the connection or at the first read.
    if proxy.connect(world).await.is_ok() {
        proxy.want(Kind::Inbound, "default/client-0").await;
        let (code, _) = proxy.end().await;
        assert!(
            matches!(code, Code::Unavailable | Code::Unknown | Code::Internal),
            "{code}"
        );
    }
    eventually("the handshake counts as failed", async || {
        world.metrics().await["handshakes_failed_total"] >= 1.0
    })
    .await;
    assert_eq!(world.metrics().await["connected_streams"], 0.0);
}

/// A fleet on one thread; DESIGN asks for 250 ms at a thousand proxies of an optimised build.
#[tokio::test]
async fn a_fleet_acknowledges_an_edit() {
    const FLEET: usize = 100;
    let world = World::start(MANIFESTS).await;
    let svid = world.join("client", "client-0").await.svid.to_pem();
    let mut fleet = Vec::new();
    for number in 0..FLEET {
        let svid = wattle_identity::Svid::from_pem(svid.as_bytes()).unwrap();
        let mut proxy = common::Proxy::new(svid, &format!("default/client-{number}"));
        proxy.connect(&world).await.unwrap();
        let destination = proxy.want(Kind::Destination, "reviews:9080").await;
        proxy.until(|proxy| proxy.held.contains_key(&destination)).await;
        fleet.push(proxy);
    }
    world.write(
        "mesh.yaml",
        &MANIFESTS.replace("appProtocol: http", "appProtocol: grpc"),
    );
    let grpc = |resource: &Resource| matches!(resource, Resource::Destination(found) if found.protocol.as_str() == "grpc");
    for proxy in &mut fleet {
        proxy.until(|proxy| proxy.held.values().any(grpc)).await;
    }
    eventually("all have acknowledged", async || {
        let status = world.status().await;
        status.proxies.len() == FLEET && status.proxies.iter().all(|proxy| proxy.synced)
    })
    .await;
    let metrics = world.metrics().await;
    assert_eq!(metrics["nacks_total"], 0.0);
    assert_eq!(
        metrics["pushes_total"],
        2.0 * FLEET as f64,
        "one push for each version and proxy"
    );
}
