//! Keys of token issuers over https: fetched from who proves to be the issuer's server, and from nobody else.
#![allow(clippy::unwrap_used)]

mod common;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{MANIFESTS, World, eventually};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wattle_control::view::DiagnosticView;
use wattle_model::IpBlock;
use wattle_wire::{Kind, Resource};

const REFRESH: Duration = Duration::from_millis(50);
/// Two key sets that differ in the name of their key.
const NAMES: [&str; 2] = ["first-key", "second-key"];

type Root = CertifiedIssuer<'static, KeyPair>;

fn root(name: &str) -> Root {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server that proves to have this name, by this root, until this year.
fn certified(root: &Root, name: &str, until: i32) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let chain = vec![params.signed_by(&key, root).unwrap().der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config)
}

/// The server of an issuer: what it proves and what it answers can be changed.
#[derive(Clone)]
struct Issuer(Arc<Mutex<(Arc<ServerConfig>, &'static str)>>);

impl Issuer {
    async fn start(config: Arc<ServerConfig>) -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issuer = Self(Arc::new(Mutex::new((config, NAMES[0]))));
        let serving = issuer.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (config, name) = serving.0.lock().unwrap().clone();
                // Who does not believe it hangs up.
                let Ok(mut stream) = TlsAcceptor::from(config).accept(socket).await else {
                    continue;
                };
                let _ = stream.read(&mut [0; 4096]).await;
                let keys = format!(
                    r#"{{"keys":[{{"kid":"{name}","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}]}}"#
                );
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{keys}", keys.len());
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        (issuer, address)
    }

    fn becomes(&self, config: Arc<ServerConfig>, name: &'static str) {
        *self.0.lock().unwrap() = (config, name);
    }
}

/// What is said of keys that were not fetched.
async fn problem(world: &World) -> Option<String> {
    let all: Vec<DiagnosticView> = world.get("/diagnostics").await;
    all.into_iter()
        .find(|one| one.code == "keys-not-fetched")
        .map(|one| one.reason)
}

#[tokio::test]
async fn keys_come_over_https_from_who_is_trusted_and_old_ones_stay_when_nobody_is() {
    let (trusted, foreign) = (root("trusted"), root("foreign"));
    let good = || certified(&trusted, "localhost", 2090);
    let (issuer, address) = Issuer::start(good()).await;
    let mut world = World::start(MANIFESTS).await;
    world.stop().await;
    let roots = world.state.path().join("issuers.pem");
    std::fs::write(&roots, trusted.pem()).unwrap();
    world.write(
        "tokens.yaml",
        &format!(
            "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: tokens}}\n\
             spec: {{jwtRules: [{{issuer: 'https://issuer.test', jwksUri: 'https://localhost:{}/keys'}}]}}\n",
            address.port()
        ),
    );
    world
        .resume(|config| {
            config.keys.refresh = REFRESH;
            config.keys.allow = vec![IpBlock::parse("127.0.0.1").unwrap()];
            config.keys.roots = Some(roots);
        })
        .await;
    let mut proxy = world.join("client", "client-0").await;
    proxy.connect(&world).await.unwrap();
    let own = proxy.want(Kind::Inbound, "default/client-0").await;
    let has = |resource: Option<&Resource>, name: &str| format!("{resource:?}").contains(name);
    proxy.until(|proxy| has(proxy.held.get(&own), NAMES[0])).await;
    assert_eq!(problem(&world).await, None);

    let table = [
        (certified(&foreign, "localhost", 2090), "UnknownIssuer"),
        (certified(&trusted, "elsewhere.test", 2090), "not valid for name"),
        (certified(&trusted, "localhost", 2021), "certificate expired"),
    ];
    for (config, expected) in table {
        issuer.becomes(config, NAMES[1]);
        eventually(expected, async || {
            problem(&world)
                .await
                .is_some_and(|found| found.contains(expected))
        })
        .await;
        let found = problem(&world).await.unwrap();
        assert!(
            found.contains("https://localhost") && found.contains("stay in use"),
            "{found}"
        );
        // What a proxy hears that asks only now.
        let mut other = world.join("reviews", "reviews-0").await;
        other.connect(&world).await.unwrap();
        let name = other.want(Kind::Inbound, "default/reviews-0").await;
        other.until(|other| has(other.held.get(&name), NAMES[0])).await;
        assert!(!has(other.held.get(&name), NAMES[1]));
    }
    issuer.becomes(good(), NAMES[1]);
    proxy.until(|proxy| has(proxy.held.get(&own), NAMES[1])).await;
    eventually("nothing is wrong any more", async || {
        problem(&world).await.is_none()
    })
    .await;
}

#[tokio::test]
async fn a_namespace_that_names_more_addresses_than_its_share_is_told_and_another_is_served() {
    let (trusted, mut world) = (root("trusted"), World::start(MANIFESTS).await);
    let (_issuer, address) = Issuer::start(certified(&trusted, "localhost", 2090)).await;
    world.stop().await;
    let roots = world.state.path().join("issuers.pem");
    std::fs::write(&roots, trusted.pem()).unwrap();
    let policy = |namespace: &str, name: usize, rules: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\n\
             metadata: {{name: p{name}, namespace: {namespace}}}\nspec: {{jwtRules: [{rules}]}}\n---\n"
        )
    };
    // Addresses that are refused at once: nobody is asked.
    let many: Vec<String> = (0..300)
        .map(|number| format!("{{issuer: i, jwksUri: 'https://169.254.169.254/{number}'}}"))
        .collect();
    let policies = many.chunks(60).enumerate();
    let policies = policies.map(|(name, rules)| policy("a", name, &rules.join(", ")));
    world.write("many.yaml", &policies.collect::<String>());
    let one = format!(
        "{{issuer: i, jwksUri: 'https://localhost:{}/keys'}}",
        address.port()
    );
    world.write("tokens.yaml", &policy("default", 0, &one));
    world
        .resume(|config| {
            config.keys.allow = vec![IpBlock::parse("127.0.0.1").unwrap()];
            config.keys.roots = Some(roots);
        })
        .await;
    let mut proxy = world.join("client", "client-0").await;
    proxy.connect(&world).await.unwrap();
    let own = proxy.want(Kind::Inbound, "default/client-0").await;
    proxy
        .until(|proxy| format!("{:?}", proxy.held.get(&own)).contains(NAMES[0]))
        .await;
    eventually("who names too many is told", async || {
        let all: Vec<DiagnosticView> = world.get("/diagnostics").await;
        let told = all.iter().filter(|one| {
            one.reason
                .contains("more than 64 addresses of keys in one namespace")
        });
        told.count() == 300 - 64
    })
    .await;
}
