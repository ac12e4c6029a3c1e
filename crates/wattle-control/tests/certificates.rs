//! Who gets a certificate, and for which name.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, SystemTime};

use common::{MANIFESTS, World, enrol, eventually};
use tonic::Code;
use wattle_identity::SpiffeId;
use wattle_wire::Kind;

fn id(account: &str) -> SpiffeId {
    SpiffeId::new(&World::trust_domain(), "default", account).unwrap()
}

#[tokio::test]
async fn a_join_token_is_good_for_one_certificate_and_that_renews_itself() {
    let world = World::start(MANIFESTS).await;
    let token = world.token("default", "client").await;
    let svid = enrol(&world, None, Some(&token), &id("client")).await.unwrap();
    assert_eq!(*svid.id(), id("client"));
    let status = enrol(&world, None, Some(&token), &id("client"))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unauthenticated, "join token is not valid")
    );
    let renewed = enrol(&world, Some(&svid), None, &id("client")).await.unwrap();
    assert_eq!(renewed.id(), svid.id());
    assert_ne!(renewed.chain(), svid.chain());
}

#[tokio::test]
async fn nobody_gets_a_name_that_is_not_his() {
    let world = World::start(MANIFESTS).await;
    let token = world.token("default", "client").await;
    let status = enrol(&world, None, Some(&token), &id("reviews"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    // The token is still good for whom it is meant.
    let svid = enrol(&world, None, Some(&token), &id("client")).await.unwrap();
    let status = enrol(&world, Some(&svid), None, &id("reviews"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let status = enrol(&world, None, None, &id("client")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    for bad in [
        "",
        "nonsense",
        "wattle-join-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let status = enrol(&world, None, Some(bad), &id("client")).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{bad}");
    }
    let (status, body) = world
        .ask(
            "POST",
            "/tokens",
            r#"{"namespace":"wattle-system","serviceAccount":"wattle-control"}"#,
        )
        .await;
    assert_eq!(status, 400, "{body}");
}

#[tokio::test]
async fn renewal_of_the_control_planes_own_certificate_disturbs_no_stream() {
    let world = World::start(MANIFESTS).await;
    let mut proxy = world.join("client", "client-0").await;
    proxy.connect(&world).await.unwrap();
    let first = proxy.want(Kind::Destination, "reviews:9080").await;
    proxy.until(|proxy| proxy.held.contains_key(&first)).await;
    world.control().renew().await.unwrap();
    let second = proxy.want(Kind::Endpoints, "default/reviews:9080").await;
    proxy.until(|proxy| proxy.held.contains_key(&second)).await;
    let mut newcomer = world.join("reviews", "reviews-0").await;
    newcomer.connect(&world).await.unwrap();
}

#[tokio::test]
async fn a_stream_ends_with_the_certificate_it_was_opened_with() {
    let mut world = World::start(MANIFESTS).await;
    world.stop().await;
    world
        .resume(|config| config.trust.lifetimes.workload = Duration::from_secs(2))
        .await;
    let mut proxy = world.join("client", "client-0").await;
    assert!(proxy.svid.not_after() <= SystemTime::now() + Duration::from_secs(3));
    proxy.connect(&world).await.unwrap();
    let (code, message) = proxy.end().await;
    assert_eq!(code, Code::Unauthenticated);
    assert!(message.contains("expired"), "{message}");
    // The control plane's own certificate was renewed meanwhile: newcomers are served.
    eventually("a newcomer is served", async || {
        let token = world.token("default", "reviews").await;
        enrol(&world, None, Some(&token), &id("reviews")).await.is_ok()
    })
    .await;
}
