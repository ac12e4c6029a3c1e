#![allow(clippy::unwrap_used)]
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status};
use wattle_identity::{Authority, TrustDomain};
use wattle_wire::proto::certificate::istio_certificate_service_server::{
    IstioCertificateService, IstioCertificateServiceServer,
};
use wattle_wire::proto::certificate::{IstioCertificateRequest, IstioCertificateResponse};

use super::super::enrol::chain;
use super::*;
use crate::settings::CertificateSource;
use crate::tests::identity;

pub(crate) const TOKEN: &str = "eyJ.genuine";

/// What a service does beside what it should.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    Honest,
    /// Certifies somebody else's name.
    OtherName,
    /// Sends no root.
    Rootless,
    /// Sends a root that did not sign.
    OtherRoot,
}

/// Signs for `identity("a")` whoever shows the token; notes the lives that were asked for.
pub(crate) struct Signer {
    pub(crate) authority: Authority,
    pub(crate) habit: Habit,
    pub(crate) lives: Arc<Mutex<Vec<i64>>>,
}

#[tonic::async_trait]
impl IstioCertificateService for Signer {
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        let shown = request.metadata().get("authorization");
        if shown.is_none_or(|shown| *shown != format!("Bearer {TOKEN}")) {
            return Err(Status::unauthenticated("request authenticate failure"));
        }
        let request = request.into_inner();
        self.lives.lock().unwrap().push(request.validity_duration);
        let now = SystemTime::now();
        let id = identity("a");
        let (csr, id) = match self.habit {
            // Istio's agents make requests without a name too.
            Habit::OtherName => (nameless(), identity("b")),
            _ => (request.csr, id),
        };
        let issued = self
            .authority
            .sign(&csr, &id, now, Duration::ZERO)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let mut cert_chain = vec![issued.pem_blocks().concat()];
        match self.habit {
            Habit::Rootless => {}
            Habit::OtherRoot => cert_chain.push(authority().bundle().unwrap().to_pem()),
            _ => cert_chain.push(self.authority.bundle().unwrap().to_pem()),
        }
        Ok(Response::new(IstioCertificateResponse { cert_chain }))
    }
}

fn nameless() -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.serialize_request(&key).unwrap().pem().unwrap()
}

fn authority() -> Authority {
    Authority::create(&TrustDomain::new("td").unwrap(), SystemTime::now()).unwrap()
}

struct Secured(TlsStream<TcpStream>);

impl Connected for Secured {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Secured {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, into)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

/// A service that runs, and a proxy's settings for it.
struct World {
    directory: tempfile::TempDir,
    service: CertificateService,
    settings: Arc<Settings>,
    lives: Arc<Mutex<Vec<i64>>>,
    root: TrustBundle,
}

impl World {
    /// With a certificate of its own for this name.
    async fn start(habit: Habit, named: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec![named.to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let mut tls =
            ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(
                    vec![own.der().clone()],
                    PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
                )
                .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (authority, lives) = (authority(), Arc::default());
        let root = authority.bundle().unwrap();
        let signer = Signer {
            authority,
            habit,
            lives: Arc::clone(&lives),
        };
        serve(listener, tls, signer);
        std::fs::write(at("roots.pem"), own.pem()).unwrap();
        std::fs::write(at("token"), format!("{TOKEN}\n")).unwrap();
        let service = CertificateService {
            host: "127.0.0.1".to_owned(),
            port,
            roots: at("roots.pem"),
            token: at("token"),
        };
        let mut settings = Settings::new(
            identity("a"),
            "a-0".to_owned(),
            ([127, 0, 0, 1], 1).into(),
            at("mesh.pem"),
            at("state"),
        );
        settings.certificates = CertificateSource::Service(service.clone());
        Self {
            directory,
            service,
            settings: settings.into(),
            lives,
            root,
        }
    }

    async fn ask(&self) -> Result<Given, String> {
        let asked = request(&self.settings, &self.service).await;
        asked.map_err(|error| chain(&error))
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }
}

pub(crate) fn serve(listener: TcpListener, tls: impl Into<Arc<ServerConfig>>, signer: Signer) {
    let (sender, connections) = tokio::sync::mpsc::unbounded_channel();
    let acceptor = TlsAcceptor::from(tls.into());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(socket).await {
                let _ = sender.send(Ok::<_, io::Error>(Secured(stream)));
            }
        }
    });
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(IstioCertificateServiceServer::new(signer))
            .serve_with_incoming(UnboundedReceiverStream::new(connections)),
    );
}

#[tokio::test]
async fn a_certificate_of_a_day_is_asked_for_with_the_token_as_it_stands_now() {
    let world = World::start(Habit::Honest, "127.0.0.1").await;
    let given = world.ask().await.unwrap();
    assert_eq!(*given.svid.id(), identity("a"));
    assert_eq!(given.roots.own, world.root);
    assert_eq!(*world.lives.lock().unwrap(), [24 * 3600]);
    world.put("token", "eyJ.old");
    let error = world.ask().await.unwrap_err();
    assert!(error.contains("request authenticate failure"), "{error}");
    world.put("token", TOKEN);
    world.ask().await.unwrap();
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_name() {
    for (habit, named, expected) in [
        (Habit::OtherName, "127.0.0.1", "not for this private key"),
        (Habit::Rootless, "127.0.0.1", "gave spiffe://td/ns/n/sa/a no root"),
        (
            Habit::OtherRoot,
            "127.0.0.1",
            "is refused under the root that came with it",
        ),
        (Habit::Honest, "127.0.0.2", "NotValidForName"),
    ] {
        let world = World::start(habit, named).await;
        let error = world.ask().await.unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_and_nobody_is_asked() {
    let world = World::start(Habit::Honest, "127.0.0.1").await;
    for (name, text, expected) in [
        ("token", " \n", "is empty, too long or not one word"),
        ("token", "two words", "not one word"),
        ("roots.pem", "no root", "no certificate that can be read"),
    ] {
        let path = world.directory.path().join(name);
        let before = std::fs::read_to_string(&path).unwrap();
        world.put(name, text);
        let error = world.ask().await.unwrap_err();
        assert!(error.contains(expected) && error.contains(name), "{error}");
        world.put(name, &before);
    }
    std::fs::remove_file(world.directory.path().join("token")).unwrap();
    assert!(world.ask().await.unwrap_err().contains("token"));
    assert!(world.lives.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_service_under_another_root_is_not_told_the_token() {
    let (world, other) = (
        World::start(Habit::Honest, "127.0.0.1").await,
        World::start(Habit::Honest, "127.0.0.1").await,
    );
    let roots = std::fs::read_to_string(other.directory.path().join("roots.pem")).unwrap();
    world.put("roots.pem", &roots);
    let error = world.ask().await.unwrap_err();
    assert!(error.contains("not reached"), "{error}");
    assert!(world.lives.lock().unwrap().is_empty());
}
