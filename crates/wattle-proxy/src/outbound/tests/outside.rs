//! Servers outside the mesh that are asked for the name that the request asks for.

use super::*;
use bytes::Bytes;
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use wattle_http::{DrainSignal, Handler, ParseError, ResponseHead, h1};
use wattle_model::ServicePort;
use wattle_model::traffic::{TlsFiles, UpstreamTls};
use wattle_net::tls;

use crate::identity::{Outside, Pem};

/// Tells the name that its connection asked for.
struct Asked(String);

impl Handler for Asked {
    async fn handle(&self, _: Box<Request>) -> Response {
        let mut response = Response::new(StatusCode::OK, Body::Empty);
        response.head.headers.insert("x-asked", self.0.parse().unwrap());
        response
    }

    fn refuse(&self, error: &ParseError) -> ResponseHead {
        ResponseHead::new(error.status())
    }
}

/// Starts a server with a certificate for these names; gives its address and its root.
async fn server(names: &[&str]) -> (SocketAddr, String) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    let pem = certificate.pem();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let config = config.clone();
            tokio::task::spawn_local(async move {
                let accepted = tls::accept(socket.into(), config, Duration::from_secs(10)).await;
                let Ok(accepted) = accepted else { return };
                let handler = Rc::new(Asked(accepted.sni.unwrap_or_default()));
                let drain = DrainSignal::new().subscribe();
                let _ = h1::serve(accepted.stream, Bytes::new(), handler, Rc::default(), drain).await;
            });
        }
    });
    (address, pem)
}

/// A world whose only backend is this server, as a service of this host.
fn world(host: &str, (address, root): (SocketAddr, String)) -> World {
    let policy = BackendPolicy {
        tls: UpstreamTls::Origination {
            sni: None,
            names: Vec::new(),
            files: TlsFiles::default(),
            unverified: false,
        },
        ..BackendPolicy::default()
    };
    let world = World::new(&[&[address]], policy, rule(&[1]));
    world.destination.borrow_mut().backends[0].service = Some(ServicePort {
        namespace: "n".into(),
        name: host.into(),
        host: host.into(),
        port: 443,
    });
    world.route(rule(&[1]));
    let outside = Outside::read(&Pem {
        roots: root.into_bytes(),
        ..Pem::default()
    });
    let material = (TlsFiles::default(), Ok(Arc::new(outside.unwrap())));
    world.worker.hear(News::Outside(Arc::new(vec![material])));
    world
}

fn to(authority: &str) -> Request {
    Request::new(
        RequestHead::new(Method::GET, authority.to_owned(), "/"),
        Body::Empty,
    )
}

#[tokio::test]
async fn below_a_wildcard_each_host_is_asked_for_on_connections_of_its_own() {
    let run = async {
        let names = ["a.out.example", "b.out.example"];
        let world = world("*.out.example", server(&names).await);
        for _ in 0..2 {
            for name in names {
                let response = world.send(to(&format!("{name}:443"))).await;
                assert_eq!(response.head.status, 200, "{}", reason(&response));
                assert_eq!(response.head.headers["x-asked"], name);
            }
        }
        // What the certificate does not name, and what is not below the wildcard, is not reached.
        for other in ["c.out.example", "a.example", "out.example", "10.0.0.1"] {
            let response = world.send(to(other)).await;
            assert_eq!(reason(&response), "upstream_tls_failure", "{other}");
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_host_that_is_no_wildcard_is_asked_for_whatever_the_request_says() {
    let run = async {
        let world = world("api.out.example", server(&["api.out.example"]).await);
        let response = world.send(to("whatever.example")).await;
        assert_eq!(response.head.headers["x-asked"], "api.out.example");
    };
    LocalSet::new().run_until(run).await;
}
