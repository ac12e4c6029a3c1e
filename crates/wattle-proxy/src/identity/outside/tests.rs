#![allow(clippy::unwrap_used)]
use std::net::SocketAddr;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use wattle_net::{Stream, tls};

use super::*;

/// A server's certificate, its own root.
struct Server {
    pem: String,
    config: Arc<ServerConfig>,
}

fn server(names: &[&str], uri: Option<&str>) -> Server {
    server_of(names, uri, rustls::ALL_VERSIONS)
}

fn server_of(
    names: &[&str],
    uri: Option<&str>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Server {
    let key = KeyPair::generate().unwrap();
    let mut params =
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    if let Some(uri) = uri {
        params
            .subject_alt_names
            .push(SanType::URI(uri.try_into().unwrap()));
    }
    let certificate = params.self_signed(&key).unwrap();
    let chain = vec![certificate.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Server {
        pem: certificate.pem(),
        config: Arc::new(config),
    }
}

fn trusting(server: &Server) -> Arc<Outside> {
    let pem = Pem {
        roots: server.pem.clone().into_bytes(),
        ..Pem::default()
    };
    Arc::new(Outside::read(&pem).unwrap())
}

/// Dials the server over loopback under a name; gives the protocol agreed on.
async fn dial(
    server: &Server,
    name: &str,
    config: Arc<ClientConfig>,
) -> Result<Option<bytes::Bytes>, tls::TlsError> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let patience = Duration::from_secs(5);
    let serve = async {
        let (socket, _) = listener.accept().await.unwrap();
        let _ = tls::accept(socket.into(), server.config.clone(), patience).await;
    };
    let call = async {
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        tls::connect(Stream::from(socket), name, config, patience).await
    };
    let (_, connected) = tokio::join!(serve, call);
    connected.map(|connected| connected.agreed.alpn)
}

#[tokio::test]
async fn a_server_with_the_dialled_name_is_trusted_and_speaks_what_was_offered() {
    let server = server(&["api.example"], None);
    let config = trusting(&server)
        .client(&[], false, &[b"http/1.1"], &Clock::default())
        .unwrap();
    assert_eq!(
        dial(&server, "api.example", config).await.unwrap().unwrap(),
        "http/1.1"
    );
}

#[tokio::test]
async fn a_server_that_speaks_nothing_newer_than_1_2_is_verified_all_the_same() {
    let old = server_of(&["api.example"], None, &[&rustls::version::TLS12]);
    let config = trusting(&old)
        .client(&[], false, &[b"http/1.1"], &Clock::default())
        .unwrap();
    assert_eq!(
        dial(&old, "api.example", config.clone()).await.unwrap().unwrap(),
        "http/1.1"
    );
    assert!(dial(&old, "db.example", config).await.is_err());
    let other = server(&["api.example"], None);
    let config = trusting(&other)
        .client(&[], false, &[], &Clock::default())
        .unwrap();
    assert!(dial(&old, "api.example", config).await.is_err());
}

#[tokio::test]
async fn another_name_or_another_root_is_refused_and_taken_only_when_asked_for() {
    let (asked, other) = (server(&["api.example"], None), server(&["api.example"], None));
    let config = trusting(&asked)
        .client(&[], false, &[], &Clock::default())
        .unwrap();
    assert!(dial(&asked, "db.example", config.clone()).await.is_err());
    assert!(dial(&other, "api.example", config).await.is_err());
    let any = trusting(&asked)
        .client(&[], true, &[], &Clock::default())
        .unwrap();
    assert!(dial(&other, "db.example", any).await.is_ok());
}

#[tokio::test]
async fn one_of_the_names_that_the_policy_lists_is_enough_and_the_dialled_one_is_not() {
    let server = server(&["a.example"], Some("spiffe://td/ns/n/sa/s"));
    let trusting = trusting(&server);
    let dns = |name: &str| SubjectName::Dns(name.into());
    let uri = |name: &str| SubjectName::Uri(name.into());
    let table = [
        (vec![dns("b.example"), dns("a.example")], true),
        (vec![uri("spiffe://td/ns/n/sa/s")], true),
        (vec![dns("b.example")], false),
        (vec![uri("spiffe://td/ns/n/sa/other")], false),
    ];
    for (names, wanted) in table {
        let config = trusting.client(&names, false, &[], &Clock::default()).unwrap();
        assert_eq!(
            dial(&server, "a.example", config).await.is_ok(),
            wanted,
            "{names:?}"
        );
    }
}

#[test]
fn files_without_a_certificate_or_with_broken_lists_are_refused() {
    let server = server(&["a.example"], None);
    assert!(Outside::read(&Pem::default()).is_err());
    let with_list = Pem {
        roots: server.pem.clone().into_bytes(),
        revoked: Some(b"nothing".to_vec()),
        ..Pem::default()
    };
    assert!(Outside::read(&with_list).unwrap_err().contains("revoked"));
    let with_key = Pem {
        roots: server.pem.into_bytes(),
        own: Some((Vec::new(), Vec::new())),
        ..Pem::default()
    };
    assert!(Outside::read(&with_key).unwrap_err().contains("own certificate"));
}
