#![allow(clippy::unwrap_used)]
use wattle_identity::{Authority, SvidRequest, TrustBundle};
use wattle_model::TrustedDomain;

use super::*;
use crate::tests::identity;

const BOUND: Duration = Duration::from_secs(20);

fn told(bundles: &[&TrustBundle]) -> Arc<Trust> {
    let roots = bundles.iter().flat_map(|bundle| bundle.roots());
    Arc::new(Trust {
        issuer: "i".into(),
        domains: vec![TrustedDomain {
            name: "td".into(),
            roots: roots.map(|root| root.to_vec()).collect(),
        }],
        aliases: Vec::new(),
        revocation_lists: Vec::new(),
    })
}

#[tokio::test]
async fn whom_to_believe_is_taken_in_while_no_certificate_is_to_be_had() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let settings = Settings::new(
        identity("a"),
        "a-0".to_owned(),
        // Nobody listens there.
        ([127, 0, 0, 1], 1).into(),
        at("roots.pem"),
        at("state"),
    );
    let create = || Authority::create(&settings.trust_domain(), SystemTime::now()).unwrap();
    let (own, next) = (create(), create().bundle().unwrap());
    let request = SvidRequest::new(&settings.id).unwrap();
    let issued = own
        .sign(request.csr_pem(), &settings.id, SystemTime::now(), Duration::ZERO)
        .unwrap();
    let svid = request.into_svid(&issued.pem_blocks().concat()).unwrap();
    let own = own.bundle().unwrap();
    std::fs::write(at("roots.pem"), own.to_pem()).unwrap();
    std::fs::create_dir(at("state")).unwrap();
    std::fs::write(at("state").join("svid.pem"), svid.to_pem().as_bytes()).unwrap();
    let (tell, hears) = watch::channel(None);
    let (sender, mut credentials) = watch::channel(None);
    let (health, renew_now) = (
        Arc::<IdentityHealth>::default(),
        Arc::new(tokio::sync::Notify::new()),
    );
    let keeper = Keeper::new(settings.into(), sender, health.clone(), renew_now.clone()).hearing(hears);
    let run = async {
        tokio::task::spawn_local(keeper.run());
        credentials.wait_for(Option::is_some).await.unwrap();
        renew_now.notify_one();
        while health.failures.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        tell.send_replace(Some(told(&[&own, &next])));
        let both = own.to_pem() + &next.to_pem();
        let believes_both =
            |now: &Option<Arc<Credentials>>| now.as_ref().is_some_and(|now| now.roots_pem() == both);
        credentials.wait_for(believes_both).await.unwrap();
    };
    let local = tokio::task::LocalSet::new();
    tokio::time::timeout(BOUND, local.run_until(run))
        .await
        .expect("it is taken in");
}
