//! Fetches over https.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Whoever signs the certificates of servers.
struct Root {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Root {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// Settings of a server that has a certificate of this name until this year.
    fn server(&self, name: &str, until: i32, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder_with_protocol_versions(versions)
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap()
    }
}

/// A server that answers whoever believes it with keys; gives its port.
async fn server(config: ServerConfig) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::task::spawn_local(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(socket).await else {
                continue;
            };
            let mut head = vec![0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(ok(KEYS).as_bytes()).await;
        }
    });
    port
}

fn believing(root: &Root) -> (Fetcher, NamedTempFile) {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &root.pem).unwrap();
    let settings = KeySettings {
        allow: vec![IpBlock::parse("127.0.0.1").unwrap()],
        roots: Some(file.path().to_owned()),
        ..KeySettings::default()
    };
    (Fetcher::new(&settings, &Clock::default()), file)
}

#[tokio::test]
async fn keys_come_over_tls_1_3_and_1_2_from_whom_the_roots_of_the_settings_vouch_for() {
    within(async {
        let root = Root::new("known");
        let (fetcher, _file) = believing(&root);
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let port = server(root.server("localhost", 2100, &[version])).await;
            let keys = fetcher.key_set(&format!("https://localhost:{port}/"), WISH).await;
            assert_eq!(&*keys.unwrap(), KEYS, "{version:?}");
        }
        let port = server(root.server("127.0.0.1", 2100, rustls::ALL_VERSIONS)).await;
        let keys = fetcher.key_set(&format!("https://127.0.0.1:{port}/"), WISH).await;
        assert_eq!(&*keys.unwrap(), KEYS);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_believed_and_it_is_said_why() {
    within(async {
        let (root, stranger) = (Root::new("known"), Root::new("unknown"));
        let (fetcher, _file) = believing(&root);
        let table = [
            (
                stranger.server("localhost", 2100, rustls::ALL_VERSIONS),
                "UnknownIssuer",
            ),
            (
                root.server("elsewhere.example", 2100, rustls::ALL_VERSIONS),
                "not valid for name",
            ),
            (root.server("localhost", 2001, rustls::ALL_VERSIONS), "expired"),
        ];
        for (config, expected) in table {
            let port = server(config).await;
            let address = format!("https://localhost:{port}/");
            let refused = fetcher.key_set(&address, WISH).await.unwrap_err();
            assert!(matches!(refused, FetchError::Tls(_)), "{refused}");
            assert!(
                refused.told().contains(expected),
                "{expected}: {}",
                refused.told()
            );
        }
        // Nor is one that speaks no TLS at all.
        let plain = super::server(|_, _| ok(KEYS))
            .await
            .replace("http://127.0.0.1", "https://localhost");
        let refused = fetcher.key_set(&plain, WISH).await.unwrap_err();
        assert!(matches!(refused, FetchError::Tls(_)), "{refused}");
    })
    .await;
}
