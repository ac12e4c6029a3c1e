//! Another authority of the mesh's own trust domain is believed while its roots stand in the file, and told to all.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, SystemTime};

use common::{MANIFESTS, Proxy, World, enrol, eventually};
use wattle_identity::{Authority, SpiffeId, Svid, SvidRequest};
use wattle_model::Trust;
use wattle_wire::{Kind, Resource};

fn svid(authority: &Authority, id: &SpiffeId) -> Svid {
    let request = SvidRequest::new(id).unwrap();
    let issued = authority
        .sign(request.csr_pem(), id, SystemTime::now(), Duration::ZERO)
        .unwrap();
    request.into_svid(&issued.pem_blocks().concat()).unwrap()
}

fn roots_told(proxy: &Proxy) -> usize {
    let roots = |resource: &Resource| match resource {
        Resource::Trust(trust) => trust.domains[0].roots.len(),
        _ => 0,
    };
    proxy.held.values().map(roots).sum()
}

#[tokio::test]
async fn a_workload_of_an_accepted_authority_is_let_in_while_its_roots_stand_in_the_file() {
    let id: SpiffeId = "spiffe://cluster.local/ns/default/sa/client".parse().unwrap();
    let create = || Authority::create(&World::trust_domain(), SystemTime::now()).unwrap();
    let (spire, next) = (create(), create());
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("accepted.pem");
    let put = |text: &str| {
        let new = files.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &path).unwrap();
    };
    put(&spire.bundle().unwrap().to_pem());
    let mut world = World::start(MANIFESTS).await;
    world.stop().await;
    let accepted = path.clone();
    world
        .resume(|config| config.trust.accepted = Some(accepted))
        .await;

    let mut own = world.join("reviews", "reviews-0").await;
    own.connect(&world).await.unwrap();
    let _ = own.want(Kind::Trust, Trust::NAME).await;
    own.until(|proxy| roots_told(proxy) == 2).await;
    let mut proxy = Proxy::new(svid(&spire, &id), "default/client-0");
    proxy.connect(&world).await.unwrap();
    let _ = proxy.want(Kind::Trust, Trust::NAME).await;
    proxy.until(|proxy| roots_told(proxy) == 2).await;
    let stranger = svid(&next, &id);
    assert!(
        enrol(&world, Some(&stranger), None, &id).await.is_err(),
        "nobody else's"
    );

    put("damaged");
    eventually("the damaged file is a problem", async || {
        world.ask("GET", "/rotation", "").await.1.contains("accepted.pem")
    })
    .await;
    enrol(&world, Some(&svid(&spire, &id)), None, &id).await.unwrap();

    put(&next.bundle().unwrap().to_pem());
    eventually("the next authority's workload is let in", async || {
        enrol(&world, Some(&stranger), None, &id).await.is_ok()
    })
    .await;
    assert!(
        enrol(&world, Some(&svid(&spire, &id)), None, &id).await.is_err(),
        "the one before is out"
    );
    own.until(|proxy| roots_told(proxy) == 2).await;
}
