//! Connections that are open when roots or revocations change.

use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wattle_http::h2;
use wattle_identity::{Purpose, RevocationLists, SpiffeId, Svid, TrustDomain};
use wattle_net::{Clock, Stream, tls};

use super::*;
use crate::identity::Alpn;
use crate::inbound::secured;
use crate::phases::accept::Accepted;
use crate::tests::root::{Root, believing, credentials, in_2040};
use crate::tests::worker_with;

const PATIENCE: Duration = Duration::from_secs(20);

/// A server whose certificate is of the first of two roots.
struct Mesh {
    worker: Rc<Worker>,
    own: Arc<Svid>,
    first: Root,
    second: Root,
}

impl Mesh {
    fn new() -> Self {
        Self::under(Clock::default())
    }

    fn under(clock: Clock) -> Self {
        let worker = worker_with(|settings| settings.clock = clock);
        let (first, second) = (Root::new("first"), Root::new("second"));
        let own = first.svid(&identity("a"), 1);
        worker.hear(believing(&own, &[("td", &first), ("td", &second)]));
        tell(&worker, Inbound::default(), &[], None);
        Self {
            worker,
            own,
            first,
            second,
        }
    }

    /// A connection to `local` that carries this, by this certificate.
    async fn dialled(&self, local: SocketAddr, svid: &Arc<Svid>, offer: &'static [Alpn]) -> Stream {
        let (near, far) = pair().await;
        let accepted = Accepted {
            peer: far.peer_addr().unwrap(),
            stream: far.into(),
            destination: local,
        };
        let worker = self.worker.clone();
        tokio::task::spawn_local(async move { secured(&worker, accepted, None).await });
        let own = credentials(
            svid,
            &[("td", &self.first)],
            RevocationLists::default(),
            &Clock::default(),
        );
        let config = own.client(identity("a"), offer).unwrap();
        let name = ServerName::from(local.ip());
        let connected = tls::connect(near.into(), name, config, PATIENCE).await;
        connected.unwrap().stream
    }

    /// An opaque one, that has carried a byte each way.
    async fn opaque(&self, svid: &Arc<Svid>) -> Stream {
        let mut stream = self.dialled(repeater().await, svid, &[Alpn::Opaque]).await;
        assert!(repeats(&mut stream).await, "{}", svid.id());
        stream
    }

    /// The first alone is believed.
    fn forget_second(&self) {
        self.worker.hear(believing(&self.own, &[("td", &self.first)]));
    }

    fn reasons(&self) -> Vec<String> {
        let refusals = self.worker.refusals.all();
        refusals.into_iter().map(|refusal| refusal.reason).collect()
    }
}

/// An application that repeats what it hears, for one connection.
async fn repeater() -> SocketAddr {
    let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = app.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        let (mut reader, mut writer) = app.accept().await.unwrap().0.into_split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
    address
}

async fn repeats(stream: &mut Stream) -> bool {
    let talk = async {
        stream.write_all(b"x").await.ok()?;
        stream.read_u8().await.ok()
    };
    within(talk).await == Some(b'x')
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("neither an answer nor an end")
}

async fn within_locals(work: impl Future<Output = ()>) {
    within(LocalSet::new().run_until(work)).await;
}

#[tokio::test]
async fn an_opaque_connection_ends_when_the_root_above_its_peer_is_removed_and_no_other_does() {
    within_locals(async {
        let mesh = Mesh::new();
        let good = mesh.first.svid(&identity("good"), 2);
        let bad = mesh.second.svid(&identity("bad"), 2);
        let (mut good, mut bad) = (mesh.opaque(&good).await, mesh.opaque(&bad).await);
        // What changes nothing for either ends neither.
        let another = Root::new("another");
        let roots = [("td", &mesh.first), ("td", &mesh.second), ("td", &another)];
        mesh.worker.hear(believing(&mesh.own, &roots));
        assert!(repeats(&mut good).await && repeats(&mut bad).await);

        mesh.forget_second();
        assert!(within(bad.read_u8()).await.is_err());
        assert!(repeats(&mut good).await);
        assert_eq!(mesh.reasons(), ["untrusted_issuer"]);
        let refusal = &mesh.worker.refusals.all()[0];
        assert_eq!(refusal.peer.as_deref(), Some(identity("bad").as_str()));
    })
    .await;
}

#[tokio::test]
async fn a_connection_ends_when_the_certificate_of_its_peer_is_revoked_and_no_other_does() {
    within_locals(async {
        let mesh = Mesh::new();
        let (good, bad) = (
            mesh.second.svid(&identity("good"), 2),
            mesh.second.svid(&identity("bad"), 3),
        );
        let (mut good, mut bad) = (mesh.opaque(&good).await, mesh.opaque(&bad).await);
        let roots = [("td", &mesh.first), ("td", &mesh.second)];
        let revoked = mesh.second.revokes(3);
        mesh.worker.hear(News::Credentials(credentials(
            &mesh.own,
            &roots,
            revoked,
            &Clock::default(),
        )));
        assert!(within(bad.read_u8()).await.is_err());
        assert!(repeats(&mut good).await);
        assert_eq!(mesh.reasons(), ["revoked"]);
    })
    .await;
}

#[tokio::test]
async fn a_connection_outlives_the_certificate_of_its_peer_whatever_else_changes() {
    within_locals(async {
        let (clock, hand) = Clock::by_hand(std::time::SystemTime::now());
        let mesh = Mesh::under(clock);
        let ending = mesh.first.svid_until(&identity("x"), 2, 2030);
        let mut open = mesh.opaque(&ending).await;
        let mut gone = mesh.opaque(&mesh.second.svid(&identity("y"), 2)).await;
        hand.set(in_2040());
        mesh.forget_second();
        assert!(within(gone.read_u8()).await.is_err());
        assert!(repeats(&mut open).await);
    })
    .await;
}

#[tokio::test]
async fn a_shared_connection_takes_no_more_requests_and_finishes_those_under_way_when_a_foreign_domain_is_withdrawn()
 {
    within_locals(async {
        let mesh = Mesh::new();
        let (arrived, go_on) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
        let (there, wait) = (arrived.clone(), go_on.clone());
        let app = http2_application(async move |_| {
            there.notify_one();
            wait.notified().await;
            Response::new(StatusCode::OK, Body::Empty)
        })
        .await;
        let mut inbound = open(app.port());
        inbound.ports[0].protocol = Protocol::Http2;
        tell(&mesh.worker, inbound, &[], None);
        let foreign = Root::new("foreign");
        let roots = [("td", &mesh.first), ("other", &foreign)];
        mesh.worker.hear(believing(&mesh.own, &roots));
        let id = SpiffeId::new(&TrustDomain::new("other").unwrap(), "n", "x").unwrap();
        let stream = mesh.dialled(app, &foreign.svid(&id, 1), &[Alpn::Http2]).await;
        let (client, driver) = h2::connect(stream, &mesh.worker.limits).await.unwrap();
        tokio::task::spawn_local(driver);
        let (response, ()) = tokio::join!(client.send(get("/")), async {
            arrived.notified().await;
            mesh.forget_second();
            while !client.is_closing() {
                tokio::task::yield_now().await;
            }
            go_on.notify_one();
        });
        assert_eq!(response.unwrap().head.status, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn a_request_that_does_not_finish_in_time_ends_with_its_connection() {
    within_locals(async {
        let mut mesh = Mesh::new();
        mesh.worker = worker_with(|settings| settings.drain_grace = Duration::ZERO);
        let arrived = Rc::new(Notify::new());
        let there = arrived.clone();
        let app = application(async move |_| {
            there.notify_one();
            std::future::pending().await
        })
        .await;
        tell(&mesh.worker, open(app.port()), &[], None);
        let roots = [("td", &mesh.first), ("td", &mesh.second)];
        mesh.worker.hear(believing(&mesh.own, &roots));
        let svid = mesh.second.svid(&identity("x"), 2);
        let stream = mesh.dialled(app, &svid, &[Alpn::Http1]).await;
        let client = h1::Client::new(stream, Rc::default(), None);
        let (response, ()) = tokio::join!(client.send(get("/")), async {
            arrived.notified().await;
            mesh.forget_second();
        });
        assert!(response.is_err());
    })
    .await;
}

#[tokio::test]
async fn who_does_not_finish_is_refused_once_its_certificate_is_revoked() {
    within_locals(async {
        let mesh = Mesh::new();
        let app = application(ok).await;
        tell(&mesh.worker, open(app.port()), &[], None);
        let chain = mesh.second.svid(&identity("bad"), 3).chain().to_vec();
        let (under, _) = mesh.worker.credentials().unwrap();
        let proof = mesh
            .worker
            .proofs
            .of(&mesh.worker, Purpose::Client, chain, &under)
            .unwrap();
        let ask = async || {
            let who = (Some("bad"), Some(proof.clone()));
            send_under(&mesh.worker, app, who, get("/")).await.unwrap().head
        };
        assert_eq!(ask().await.status, StatusCode::OK);
        let roots = [("td", &mesh.first), ("td", &mesh.second)];
        let revoked = mesh.second.revokes(3);
        mesh.worker.hear(News::Credentials(credentials(
            &mesh.own,
            &roots,
            revoked,
            &Clock::default(),
        )));
        while proof.rejection().is_none() {
            tokio::task::yield_now().await;
        }
        let refused = ask().await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert_eq!(refused.headers["wattle-reason"], "downstream_tls_failure");
    })
    .await;
}

#[tokio::test]
async fn a_kept_connection_closes_between_two_requests() {
    within_locals(async {
        let mesh = Mesh::new();
        let app = application(ok).await;
        tell(&mesh.worker, open(app.port()), &[], None);
        let svid = mesh.second.svid(&identity("x"), 2);
        let mut stream = mesh.dialled(app, &svid, &[Alpn::Http1]).await;
        let ask = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        mesh.forget_second();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_peer_whose_root_is_removed_during_its_handshake_is_turned_away() {
    within_locals(async {
        let mesh = Mesh::new();
        let svid = mesh.second.svid(&identity("x"), 2);
        let (near, far) = pair().await;
        let accepted = Accepted {
            peer: far.peer_addr().unwrap(),
            stream: far.into(),
            destination: repeater().await,
        };
        let worker = mesh.worker.clone();
        let serving = secured(&worker, accepted, None);
        tokio::pin!(serving);
        // Its part of the handshake has begun under the old roots.
        assert!(futures_util::poll!(serving.as_mut()).is_pending());
        mesh.forget_second();
        let own = credentials(
            &svid,
            &[("td", &mesh.first)],
            RevocationLists::default(),
            &Clock::default(),
        );
        let config = own.client(identity("a"), &[Alpn::Opaque]).unwrap();
        let name = ServerName::from(std::net::IpAddr::from([127, 0, 0, 1]));
        let (served, connected) = tokio::join!(serving, tls::connect(near.into(), name, config, PATIENCE));
        served.unwrap();
        assert!(!repeats(&mut connected.unwrap().stream).await);
        assert_eq!(mesh.reasons(), ["untrusted_issuer"]);
    })
    .await;
}

#[tokio::test]
async fn connections_of_one_peer_rest_on_one_proof_and_end_with_it() {
    within_locals(async {
        let mesh = Mesh::new();
        let svid = mesh.second.svid(&identity("x"), 2);
        let (mut one, mut two) = (mesh.opaque(&svid).await, mesh.opaque(&svid).await);
        assert_eq!(mesh.worker.proofs.len(), 1);
        mesh.worker.sweep();
        assert_eq!(mesh.worker.proofs.len(), 1);
        mesh.forget_second();
        assert!(within(one.read_u8()).await.is_err() && within(two.read_u8()).await.is_err());
        while mesh.worker.proofs.len() > 0 {
            tokio::task::yield_now().await;
            mesh.worker.sweep();
        }
    })
    .await;
}
