#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::pin::Pin;

use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Response;
use wattle_identity::{Authority, SvidRequest};
use wattle_wire::proto::workload::spiffe_workload_api_server::{SpiffeWorkloadApi, SpiffeWorkloadApiServer};

use super::super::{Credentials, Keeper};
use super::*;
use crate::settings::{CertificateSource, Settings};
use crate::tests::identity;

const PATIENCE: Duration = Duration::from_secs(20);

type Answer = Result<X509svidResponse, Status>;

/// What an agent gives to the streams that come, one receiver each.
struct Agent(std::sync::Mutex<mpsc::UnboundedReceiver<mpsc::UnboundedReceiver<Answer>>>);

#[tonic::async_trait]
impl SpiffeWorkloadApi for Agent {
    type FetchX509SVIDStream = Pin<Box<UnboundedReceiverStream<Answer>>>;

    async fn fetch_x509svid(
        &self,
        request: Request<X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        let header = request.metadata().get("workload.spiffe.io");
        if header.is_none_or(|value| value != "true") {
            return Err(Status::invalid_argument("security header missing"));
        }
        let next = self.0.lock().unwrap().try_recv();
        let stream = next.map_err(|_| Status::unavailable("not yet"))?;
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(stream))))
    }
}

fn serve(path: &Path, coming: mpsc::UnboundedReceiver<mpsc::UnboundedReceiver<Answer>>) {
    let listener = tokio::net::UnixListener::bind(path).unwrap();
    let agent = SpiffeWorkloadApiServer::new(Agent(std::sync::Mutex::new(coming)));
    let server = tonic::transport::Server::builder()
        .add_service(agent)
        .serve_with_incoming(tokio_stream::wrappers::UnixListenerStream::new(listener));
    tokio::task::spawn_local(server);
}

fn authority() -> Authority {
    Authority::create(&TrustDomain::new("td").unwrap(), SystemTime::now()).unwrap()
}

fn concatenated(roots: &TrustBundle) -> Vec<u8> {
    roots.roots().iter().flat_map(|root| root.to_vec()).collect()
}

fn svid(authority: &Authority, id: &SpiffeId) -> X509svid {
    let request = SvidRequest::new(id).unwrap();
    let issued = authority
        .sign(request.csr_pem(), id, SystemTime::now(), Duration::ZERO)
        .unwrap();
    let svid = request.into_svid(&issued.pem_blocks().concat()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(svid.key_pem().as_bytes()).unwrap();
    X509svid {
        spiffe_id: id.to_string(),
        x509_svid: svid.chain().iter().flat_map(|one| one.to_vec()).collect(),
        x509_svid_key: key.secret_der().to_vec(),
        bundle: concatenated(&authority.bundle().unwrap()),
        hint: String::new(),
    }
}

fn offer(svids: Vec<X509svid>) -> X509svidResponse {
    X509svidResponse {
        svids,
        crl: Vec::new(),
        federated_bundles: BTreeMap::new(),
    }
}

fn refusal(answer: X509svidResponse) -> String {
    let error = Offer(answer).read(&identity("a"), SystemTime::now()).unwrap_err();
    super::super::enrol::chain(&error)
}

#[test]
fn of_several_names_the_proxys_own_is_taken_with_every_root() {
    let (own, other) = (authority(), authority());
    let mut answer = offer(vec![svid(&own, &identity("b")), svid(&own, &identity("a"))]);
    let foreign = concatenated(&other.bundle().unwrap());
    answer
        .federated_bundles
        .insert("spiffe://elsewhere.example".into(), foreign);
    answer
        .federated_bundles
        .insert("spiffe://empty.example".into(), Vec::new());
    let pushed = Offer(answer).read(&identity("a"), SystemTime::now()).unwrap();
    assert_eq!(*pushed.svid.id(), identity("a"));
    assert_eq!(pushed.roots.own, own.bundle().unwrap());
    assert_eq!(
        pushed.roots.federated.len(),
        1,
        "a slip of another spoils nothing"
    );
    assert_eq!(
        pushed.roots.federated[0].trust_domain().as_str(),
        "elsewhere.example"
    );
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let own = authority();
    let good = svid(&own, &identity("a"));
    assert_eq!(
        refusal(offer(vec![svid(&own, &identity("b"))])),
        "the Workload API offers spiffe://td/ns/n/sa/b, expected spiffe://td/ns/n/sa/a"
    );
    let lying = X509svid {
        spiffe_id: identity("a").to_string(),
        ..svid(&own, &identity("b"))
    };
    assert!(refusal(offer(vec![lying])).contains("names spiffe://td/ns/n/sa/b"));
    let other_key = X509svid {
        x509_svid_key: svid(&own, &identity("a")).x509_svid_key.clone(),
        ..good.clone()
    };
    assert!(refusal(offer(vec![other_key])).contains("not for this private key"));
    let mut cut = good.clone();
    cut.x509_svid.pop();
    assert!(refusal(offer(vec![cut])).contains("something else than a certificate"));
    let other_root = X509svid {
        bundle: concatenated(&authority().bundle().unwrap()),
        ..good.clone()
    };
    assert!(refusal(offer(vec![other_root])).contains("refused"));
    let rootless = X509svid {
        bundle: Vec::new(),
        ..good.clone()
    };
    assert!(refusal(offer(vec![rootless])).contains("holds no certificate"));
    let mut revoking = offer(vec![good]);
    revoking.crl.push(vec![1, 2, 3]);
    assert!(refusal(revoking).contains("revocation lists"));
}

#[tokio::test]
async fn every_push_arrives_also_after_the_stream_broke() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.sock");
    let (streams, coming) = mpsc::unbounded_channel();
    let local = tokio::task::LocalSet::new();
    let own = authority();
    local
        .run_until(async {
            let mut api = WorkloadApi::follow(path.clone(), Arc::default());
            // The agent starts after its client.
            serve(&path, coming);
            assert!(matches!(
                api.take(&identity("a"), SystemTime::now()),
                Err(OfferError::None)
            ));
            for _ in 0..2 {
                let (stream, answers) = mpsc::unbounded_channel();
                streams.send(answers).unwrap();
                for _ in 0..2 {
                    stream.send(Ok(offer(vec![svid(&own, &identity("a"))]))).unwrap();
                    tokio::time::timeout(PATIENCE, api.changed())
                        .await
                        .expect("a push arrives");
                    api.take(&identity("a"), SystemTime::now()).unwrap();
                }
                // Dropping `stream` breaks it; what was offered last stays at hand.
                drop(stream);
                api.take(&identity("a"), SystemTime::now()).unwrap();
            }
        })
        .await;
}

#[tokio::test]
async fn a_bad_push_leaves_the_last_good_one_and_roots_are_replaced_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let (control, first, second) = (authority(), authority(), authority());
    std::fs::write(at("roots.pem"), control.bundle().unwrap().to_pem()).unwrap();
    let mut settings = Settings::new(
        identity("a"),
        "a-0".to_owned(),
        ([127, 0, 0, 1], 1).into(),
        at("roots.pem"),
        at("state"),
    );
    settings.certificates = CertificateSource::WorkloadApi(at("agent.sock"));
    let (streams, coming) = mpsc::unbounded_channel();
    let (stream, answers) = mpsc::unbounded_channel();
    streams.send(answers).unwrap();
    let push = |svids| stream.send(Ok(offer(svids))).unwrap();
    let (sender, mut credentials) = watch::channel(None);
    let health = Arc::<IdentityHealth>::default();
    tokio::task::LocalSet::new()
        .run_until(async {
            serve(&at("agent.sock"), coming);
            let keeper = Keeper::new(settings.into(), sender, health.clone(), Arc::default());
            tokio::task::spawn_local(keeper.run());
            push(vec![svid(&first, &identity("a"))]);
            let before = next(&mut credentials).await;
            assert_eq!(*before.svid().id(), identity("a"));
            assert_eq!(
                before.roots_pem(),
                control.bundle().unwrap().to_pem() + &first.bundle().unwrap().to_pem()
            );

            push(vec![svid(&second, &identity("b"))]);
            let refused = async {
                while health.failures.load(Ordering::Relaxed) == 0 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(PATIENCE, refused)
                .await
                .expect("it is refused");
            assert!(!credentials.has_changed().unwrap(), "the last good one stays");

            push(vec![svid(&second, &identity("a"))]);
            let after = next(&mut credentials).await;
            assert_eq!(
                after.roots_pem(),
                control.bundle().unwrap().to_pem() + &second.bundle().unwrap().to_pem(),
                "the first root is not believed any more"
            );
        })
        .await;
    assert!(!at("state").exists(), "nothing is written down");
}

async fn next(credentials: &mut watch::Receiver<Option<Arc<Credentials>>>) -> Arc<Credentials> {
    tokio::time::timeout(PATIENCE, credentials.changed())
        .await
        .expect("a push arrives")
        .unwrap();
    credentials.borrow_and_update().clone().unwrap()
}
