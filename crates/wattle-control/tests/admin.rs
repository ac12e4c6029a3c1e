//! The admin API and the probes, as the command line and a scraper see them.
#![allow(clippy::unwrap_used)]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{MANIFESTS, World, eventually};
use wattle_control::explain::{Explanation, Question};
use wattle_control::view::{DiagnosticView, EndpointView, ErrorView, ObjectView, ServiceView};

#[tokio::test]
async fn objects_are_found_by_kind_namespace_and_name() {
    let world = World::start(MANIFESTS).await;
    let all: Vec<ObjectView> = world.get("/objects").await;
    assert_eq!(all.len(), 3);
    let entries: Vec<ObjectView> = world.get("/objects/workloadentries/default").await;
    assert_eq!(
        entries.iter().map(|entry| &*entry.name).collect::<Vec<_>>(),
        ["client-0", "reviews-0"]
    );
    let service: ObjectView = world.get("/objects/Service/default/reviews").await;
    assert_eq!((service.status.as_str(), service.line), ("accepted", 2));
    assert_eq!(service.manifest["spec"]["ports"][0]["port"], 9080);
    for (target, status) in [
        ("/objects/service/default/none", 404),
        ("/objects/things", 404),
        ("/nothing", 404),
    ] {
        let (found, body) = world.ask("GET", target, "").await;
        assert_eq!(found, status, "{target}");
        assert!(serde_json::from_str::<ErrorView>(&body).is_ok(), "{body}");
    }
    assert_eq!(world.ask("POST", "/status", "").await.0, 405);
    assert_eq!(world.ask("GET", "/tokens", "").await.0, 405);
}

#[tokio::test]
async fn services_are_listed_with_the_names_they_are_called_by_and_written_to_disk() {
    let world = World::start(MANIFESTS).await;
    let services: Vec<ServiceView> = world.get("/services").await;
    assert_eq!(services[0].names[0], "reviews.default.svc.cluster.local");
    assert_eq!(services[0].names.last().unwrap(), "reviews");
    assert!(services[0].address.unwrap().to_string().starts_with("10.96."));
    let file = world.state.path().join("services.json");
    eventually("the file says the same", async || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        serde_json::from_str::<Vec<ServiceView>>(&text).is_ok_and(|found| found == services)
    })
    .await;
    let endpoints: Vec<EndpointView> = world.get("/endpoints").await;
    assert_eq!(
        (endpoints[0].backend.as_str(), endpoints[0].address.as_str()),
        ("default/reviews:9080", "10.244.0.2:9080")
    );
    assert!(endpoints[0].mtls);
}

#[tokio::test]
async fn a_virtual_address_survives_a_restart() {
    let mut world = World::start(MANIFESTS).await;
    let before: Vec<ServiceView> = world.get("/services").await;
    world.stop().await;
    world.resume(|_| {}).await;
    assert_eq!(world.get::<Vec<ServiceView>>("/services").await, before);
}

#[tokio::test]
async fn a_bad_object_is_diagnosed_and_its_last_good_version_stays() {
    let world = World::start(MANIFESTS).await;
    world.write("mesh.yaml", &MANIFESTS.replace("port: 9080", "port: many"));
    eventually("the mistake is diagnosed", async || {
        let found: Vec<DiagnosticView> = world.get("/diagnostics").await;
        found.iter().any(|found| {
            found.severity == "error" && found.file.ends_with("mesh.yaml") && found.field.contains("port")
        })
    })
    .await;
    let service: ObjectView = world.get("/objects/service/default/reviews").await;
    assert_eq!(service.manifest["spec"]["ports"][0]["port"], 9080);
    assert_ne!(service.status, "accepted");
    assert_eq!(world.status().await.errors, 1);
    eventually("the gauge follows", async || {
        world.metrics().await["config_errors"] == 1.0
    })
    .await;
}

#[tokio::test]
async fn explanations_come_over_the_socket() {
    let world = World::start(MANIFESTS).await;
    let question = Question {
        from: "default/client-0".to_owned(),
        method: "GET".to_owned(),
        url: "http://reviews:9080/x?a=b&c=d".to_owned(),
        headers: vec![("x-user".to_owned(), "a b&c".to_owned())],
        port: None,
        claims: None,
    };
    let found: Explanation = world.get(&format!("/explain?{}", question.to_query())).await;
    assert_eq!(found.answer.text, "allowed → default/reviews:9080");
    assert_eq!(found.request.headers, question.headers);
    assert_eq!(found.backends[0].workloads[0].address, "10.244.0.2:9080");
    assert_eq!(found.source.address, "10.244.0.3");
    let (status, body) = world
        .ask("GET", "/explain?from=nobody&url=http://reviews/", "")
        .await;
    assert_eq!(status, 400);
    assert!(body.contains("there is no workload default/nobody"), "{body}");
}

#[tokio::test]
async fn tokens_are_bounded_in_time_and_form() {
    let world = World::start("").await;
    for body in [
        "",
        "{}",
        r#"{"namespace":"a/b","serviceAccount":"c"}"#,
        r#"{"namespace":"a","serviceAccount":"c","ttlSecs":0}"#,
        r#"{"namespace":"a","serviceAccount":"c","ttlSecs":86401}"#,
        r#"{"namespace":"a","serviceAccount":"c","surprise":1}"#,
    ] {
        let (status, answer) = world.ask("POST", "/tokens", body).await;
        assert_eq!(status, 400, "{body}: {answer}");
    }
}

#[tokio::test]
async fn only_the_owner_may_open_the_socket_and_the_state() {
    let world = World::start("").await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(world.control().admin()), 0o600);
    assert_eq!(mode(world.state.path()), 0o700);
    let roots = std::fs::read_to_string(world.control().roots()).unwrap();
    assert!(roots.contains("BEGIN CERTIFICATE") && !roots.contains("PRIVATE"));
}

#[tokio::test]
async fn a_drain_ends_it_and_leaves_no_socket() {
    let mut world = World::start("").await;
    assert_eq!(world.ask("POST", "/drain", "").await.0, 202);
    tokio::time::timeout(common::PATIENCE, world.control().ended())
        .await
        .unwrap();
    let socket = world.control().admin().to_owned();
    world.stop().await;
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_socket_left_by_a_dead_control_plane_is_replaced() {
    let mut world = World::start("").await;
    world.stop().await;
    drop(std::os::unix::net::UnixListener::bind(world.state.path().join("admin.sock")).unwrap());
    world.resume(|_| {}).await;
    assert!(world.status().await.ready);
}
