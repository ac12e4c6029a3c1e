#![allow(clippy::unwrap_used)]
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;

use tokio::net::TcpListener;
use wattle_identity::{
    Authority, BundleSet, ClientCertificates, SpiffeId, SvidRequest, TlsSettings, TrustBundle,
};
use wattle_model::TrustedDomain;

use super::super::service::tests::{Habit, Signer, TOKEN, serve};
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

fn certified(authority: &Authority, id: &SpiffeId) -> Svid {
    let (request, now) = (SvidRequest::new(id).unwrap(), SystemTime::now());
    let issued = authority
        .sign(request.csr_pem(), id, now, Duration::ZERO)
        .unwrap();
    request.into_svid(&issued.chain_pem()).unwrap()
}

/// Serves certificates as whoever this is; the requests that came with the token.
async fn control_plane(authority: Authority, own: &Svid) -> (std::net::SocketAddr, Arc<Mutex<Vec<i64>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Arc::default());
    let tls = TlsSettings::new(Arc::new(BundleSet::only(authority.bundle().unwrap())), &[b"h2"])
        .server(own, ClientCertificates::Optional)
        .unwrap();
    let signer = Signer {
        authority,
        habit: Habit::Honest,
        lives: Arc::clone(&asked),
    };
    serve(listener, tls, signer);
    (address, asked)
}

/// What a new proxy gets of the control plane at this address, and what it saves.
async fn enrolled(control: std::net::SocketAddr, roots: &TrustBundle) -> (Option<u64>, Option<u32>) {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("roots.pem"), roots.to_pem()).unwrap();
    std::fs::write(at("token"), TOKEN).unwrap();
    std::fs::create_dir(at("state")).unwrap();
    let mut settings = Settings::new(
        identity("a"),
        "a-0".to_owned(),
        control,
        at("roots.pem"),
        at("state"),
    );
    settings.token = Some(at("token"));
    let (sender, mut credentials) = watch::channel(None);
    let (health, renew_now) = (Arc::<IdentityHealth>::default(), Arc::default());
    let keeper = Keeper::new(settings.into(), sender, health.clone(), renew_now);
    let run = async {
        tokio::task::spawn_local(keeper.run());
        while health.failures.load(Ordering::Relaxed) == 0 && credentials.borrow().is_none() {
            tokio::task::yield_now().await;
        }
    };
    let local = tokio::task::LocalSet::new();
    tokio::time::timeout(BOUND, local.run_until(run))
        .await
        .expect("neither a certificate nor a failure");
    let saved = std::fs::metadata(at("state").join("svid.pem")).ok();
    let got = credentials.borrow_and_update().is_some();
    (
        got.then(|| health.renewals.load(Ordering::Relaxed)),
        saved.map(|saved| saved.permissions().mode() & 0o777),
    )
}

#[tokio::test]
async fn a_false_control_plane_is_not_told_the_token_and_what_the_true_one_gives_is_for_its_owner_alone() {
    let domain = identity("a").trust_domain().to_owned();
    let create = || {
        Authority::create(
            &wattle_identity::TrustDomain::new(&domain).unwrap(),
            SystemTime::now(),
        )
        .unwrap()
    };
    let control: SpiffeId = "spiffe://td/ns/wattle-system/sa/wattle-control".parse().unwrap();
    // A workload of the mesh in its place, then somebody who only calls himself so.
    let own = create();
    let (roots, workload) = (own.bundle().unwrap(), certified(&own, &identity("b")));
    let (there, asked) = control_plane(own, &workload).await;
    assert_eq!(enrolled(there, &roots).await, (None, None));
    assert!(asked.lock().unwrap().is_empty());
    let other = create();
    let forged = certified(&other, &control);
    let (there, asked) = control_plane(other, &forged).await;
    assert_eq!(enrolled(there, &roots).await, (None, None));
    assert!(asked.lock().unwrap().is_empty());
    let own = create();
    let (roots, genuine) = (own.bundle().unwrap(), certified(&own, &control));
    let (there, asked) = control_plane(own, &genuine).await;
    assert_eq!(enrolled(there, &roots).await, (Some(1), Some(0o600)));
    assert_eq!(asked.lock().unwrap().len(), 1);
}
