//! Roots and issuers follow one another while proxies stay, whatever is interrupted.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{MANIFESTS, Proxy, World, enrol, eventually};
use wattle_control::view::{CertificateView, RotationView};
use wattle_identity::{Authority, Lifetimes, SpiffeId};
use wattle_model::Trust;
use wattle_wire::{Kind, Resource};

const SECOND: Duration = Duration::from_secs(1);

fn id(account: &str) -> SpiffeId {
    SpiffeId::new(&World::trust_domain(), "default", account).unwrap()
}

async fn rotation(world: &World) -> RotationView {
    world.get("/rotation").await
}

async fn rotate(world: &World, body: &str) -> (u16, String) {
    world.ask("POST", "/rotation", body).await
}

/// A connected proxy that holds the trust of the mesh.
async fn trusting(world: &World, account: &str) -> Proxy {
    let mut proxy = world.join(account, &format!("{account}-0")).await;
    proxy.connect(world).await.unwrap();
    let name = proxy.want(Kind::Trust, Trust::NAME).await;
    proxy.until(|proxy| proxy.held.contains_key(&name)).await;
    proxy
}

fn trust(proxy: &Proxy) -> &Trust {
    let found = proxy.held.values().find_map(|resource| match resource {
        Resource::Trust(trust) => Some(trust),
        _ => None,
    });
    found.unwrap()
}

#[tokio::test]
async fn a_new_root_signs_when_all_know_it_and_the_old_one_goes_when_nobody_needs_it() {
    let world = World::start(MANIFESTS).await;
    let mut proxy = trusting(&world, "client").await;
    let first = trust(&proxy).clone();
    let (status, body) = rotate(&world, r#"{"replace":"root"}"#).await;
    assert_eq!(status, 200, "{body}");
    proxy
        .until(|proxy| trust(proxy).domains[0].roots.len() == 2)
        .await;
    assert_eq!(trust(&proxy).domains[0].roots[0], first.domains[0].roots[0]);
    // It has acknowledged: the new issuer signs, and who holds a certificate of the old one is told.
    proxy.until(|proxy| trust(proxy).issuer != first.issuer).await;
    let now = rotation(&world).await;
    assert_eq!((now.stage.as_str(), now.outdated), ("renewing", 1));
    assert_eq!(now.awaited, [id("client").to_string()]);
    let (status, body) = rotate(&world, r#"{"replace":"issuer"}"#).await;
    assert_eq!((status, body.contains("under way")), (400, true), "{body}");

    proxy.svid = enrol(&world, Some(&proxy.svid), None, &id("client"))
        .await
        .unwrap();
    proxy
        .until(|proxy| trust(proxy).domains[0].roots.len() == 1)
        .await;
    assert_ne!(trust(&proxy).domains[0].roots[0], first.domains[0].roots[0]);
    assert_eq!(rotation(&world).await.stage, "steady");
    proxy.connect(&world).await.unwrap();
    let listed: Vec<CertificateView> = world.get("/certificates").await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert!(
        listed[0].current && listed[0].identity == id("client").to_string(),
        "{listed:?}"
    );
}

#[tokio::test]
async fn who_is_not_connected_is_waited_for_by_name_unless_that_is_not_wanted() {
    let mut world = World::start(MANIFESTS).await;
    let mut proxy = trusting(&world, "client").await;
    let _absent = world.join("reviews", "reviews-0").await;
    rotate(&world, r#"{"replace":"root"}"#).await;
    proxy
        .until(|proxy| trust(proxy).domains[0].roots.len() == 2)
        .await;
    eventually("only the absent one is waited for", async || {
        rotation(&world).await.awaited == [id("reviews").to_string()]
    })
    .await;
    // Interrupted, it goes on where it was.
    world.stop().await;
    world.resume(|_| {}).await;
    let now = rotation(&world).await;
    assert_eq!(
        (now.stage.as_str(), now.unaware, now.unaware_connected),
        ("spreading", 2, 0)
    );
    proxy.connect(&world).await.unwrap();
    eventually("the other one has said that it knows", async || {
        rotation(&world).await.unaware == 1
    })
    .await;
    // A certificate comes with all roots: with its next one the absent one knows.
    let absent = enrol(&world, Some(&_absent.svid), None, &id("reviews")).await;
    assert!(absent.is_ok());
    eventually("nobody is waited for", async || {
        rotation(&world).await.stage == "renewing"
    })
    .await;
}

#[tokio::test]
async fn a_new_issuer_signs_at_once_and_absent_ones_can_be_skipped() {
    let world = World::start(MANIFESTS).await;
    let _absent = world.join("reviews", "reviews-0").await;
    let first = rotation(&world).await.signing;
    rotate(&world, r#"{"replace":"issuer"}"#).await;
    let now = rotation(&world).await;
    assert_eq!((now.stage.as_str(), &now.signing.root), ("renewing", &first.root));
    assert_ne!(now.signing.issuer, first.issuer);
    let world = World::start(MANIFESTS).await;
    let _absent = world.join("reviews", "reviews-0").await;
    let first = rotation(&world).await.signing;
    let (status, body) = rotate(&world, r#"{"replace":"root","skipAbsent":true}"#).await;
    assert_eq!(status, 200, "{body}");
    // Nobody is waited for in the next stage either, so that it may be over before it is seen.
    eventually("the new root signs", async || {
        rotation(&world).await.signing.root != first.root
    })
    .await;
    for body in [
        r#"{"replace":"leaf"}"#,
        r#"{"replace":"root","all":1}"#,
        "nonsense",
    ] {
        assert_eq!(rotate(&world, body).await.0, 400, "{body}");
    }
}

#[tokio::test]
async fn an_issuer_from_files_is_used_and_replaced_without_a_restart() {
    let mut world = World::start(MANIFESTS).await;
    world.stop().await;
    let files = tempfile::tempdir().unwrap();
    let write = |authority: &Authority| {
        // A root and an issuer below it, as one text: certificates in this order, then keys.
        let text = authority.to_pem().to_string();
        let parts: Vec<&str> = text.split_inclusive("-----\n").collect();
        let part = |number: usize| parts[number * 2..number * 2 + 2].concat();
        for (name, text) in [("ca.crt", part(0)), ("tls.crt", part(1)), ("tls.key", part(3))] {
            let next = files.path().join("next");
            std::fs::write(&next, text).unwrap();
            std::fs::rename(next, files.path().join(name)).unwrap();
        }
    };
    let now = std::time::SystemTime::now();
    let authority = || Authority::create(&World::trust_domain(), now).unwrap();
    let (first, second) = (authority(), authority());
    write(&first);
    let path = files.path().to_owned();
    world.resume(|config| config.trust.issuer = Some(path)).await;
    // One had been made before, which nobody holds a certificate of: it is rotated away.
    eventually("the issuer of the files signs", async || {
        let now = rotation(&world).await;
        now.stage == "steady" && now.signing.issuer == first.issuer_id() && now.from_files
    })
    .await;
    let mut proxy = trusting(&world, "client").await;
    assert_eq!(&*trust(&proxy).issuer, first.issuer_id());
    write(&second);
    proxy
        .until(|proxy| *trust(proxy).issuer == *second.issuer_id())
        .await;
    let (status, body) = rotate(&world, r#"{"replace":"root"}"#).await;
    assert_eq!((status, body.contains("come from files")), (400, true), "{body}");
    std::fs::write(files.path().join("tls.key"), "").unwrap();
    eventually("the mistake is told", async || {
        let now = rotation(&world).await;
        now.problems
            .iter()
            .any(|problem| problem.contains("0 private keys"))
            && now.signing.issuer == second.issuer_id()
    })
    .await;
}

#[tokio::test]
async fn foreign_trust_domains_aliases_and_revocations_are_told() {
    let mut world = World::start(MANIFESTS).await;
    world.stop().await;
    let directory = tempfile::tempdir().unwrap();
    let roots = directory.path().join("roots.pem");
    let domain = wattle_identity::TrustDomain::new("elsewhere.example").unwrap();
    let foreign = Authority::create(&domain, std::time::SystemTime::now())
        .unwrap()
        .bundle()
        .unwrap();
    std::fs::write(&roots, foreign.to_pem()).unwrap();
    world
        .resume(|config| {
            config.trust.federated = vec![("elsewhere.example".into(), roots)];
            config.trust.aliases = vec!["old.example".into()];
        })
        .await;
    let proxy = trusting(&world, "client").await;
    let told = trust(&proxy);
    let names: Vec<&str> = told.domains.iter().map(|domain| &*domain.name).collect();
    assert_eq!(names, ["cluster.local", "old.example", "elsewhere.example"]);
    assert_eq!(told.domains[2].roots[0], foreign.roots()[0].as_ref());
    assert_eq!(told.domains[1].roots, told.domains[0].roots);
}

#[tokio::test]
async fn after_the_end_of_everything_one_request_makes_all_anew() {
    let mut world = World::start(MANIFESTS).await;
    world.stop().await;
    let state = tempfile::tempdir().unwrap();
    let old = std::mem::replace(&mut world.state, state);
    let short = Lifetimes {
        root: 2 * SECOND,
        issuer: 2 * SECOND,
        workload: SECOND,
    };
    world.resume(|config| config.trust.lifetimes = short).await;
    let (status, body) = world.ask("POST", "/repair", "").await;
    assert_eq!((status, body.contains("needs no repair")), (400, true), "{body}");
    let before = rotation(&world).await.signing.root_not_after_secs;
    world.stop().await;
    eventually("everything has ended", async || {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        now > before + 1
    })
    .await;
    world
        .resume(|config| config.trust.lifetimes = Lifetimes::default())
        .await;
    assert!(rotation(&world).await.expired);
    let token = world.token("default", "client").await;
    assert!(enrol(&world, None, Some(&token), &id("client")).await.is_err());
    let (status, body) = world.ask("POST", "/repair", "").await;
    assert_eq!(status, 200, "{body}");
    assert!(!rotation(&world).await.expired);
    enrol(&world, None, Some(&token), &id("client")).await.unwrap();
    drop(old);
}
