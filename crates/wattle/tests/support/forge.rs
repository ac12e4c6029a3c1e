//! Certificates that are genuine, stale or false, and whoever shows them.
// Each test uses a part of it.
#![allow(clippy::unwrap_used, dead_code)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::ServerName;
use wattle_identity::{
    Authority, BundleSet, ClientCertificates, Expected, SpiffeId, Svid, SvidRequest, TlsSettings,
    TrustBundle, TrustDomain,
};
use wattle_testkit::{Answer, Conversation, Mesh, Request, Spot};

use crate::support::authority_of;

/// Life of a forged certificate.
const HOUR: Duration = Duration::from_secs(3600);
/// Longest wait for a word of the other side.
const PATIENCE: Duration = Duration::from_secs(30);
/// An application protocol by which proxies know each other.
const MESH: &[&[u8]] = &[b"istio-http/1.1"];

/// Makes certificates: with the mesh's own authority, or with one of its own.
pub(crate) struct Forger {
    genuine: Authority,
    bundles: Arc<BundleSet>,
}

impl Forger {
    pub(crate) fn of(mesh: &Mesh) -> Self {
        let genuine = authority_of(mesh);
        let bundles = Arc::new(BundleSet::only(genuine.bundle().unwrap()));
        Self { genuine, bundles }
    }

    /// Signed by the mesh's authority at that time, for an hour.
    pub(crate) fn svid(&self, account: &str, then: SystemTime) -> Svid {
        sign(&self.genuine, "cluster.local", account, then, HOUR)
    }

    /// Signed by the mesh's authority, and over half a minute ago.
    pub(crate) fn expired(&self, account: &str) -> Svid {
        let then = SystemTime::now() - Duration::from_secs(40);
        sign(
            &self.genuine,
            "cluster.local",
            account,
            then,
            Duration::from_secs(10),
        )
    }

    /// Signed by an authority that nobody in the mesh trusts.
    pub(crate) fn foreign(&self, trust_domain: &str, account: &str) -> Svid {
        elsewhere(trust_domain, account).1
    }

    /// Writes a certificate, its key and the mesh's roots where a program may have them: `tls.crt`, `tls.key`, `ca.crt`.
    pub(crate) fn write(&self, directory: &Path, svid: &Svid) {
        let roots = self.genuine.bundle().unwrap().to_pem();
        std::fs::create_dir_all(directory).unwrap();
        std::fs::write(directory.join("tls.crt"), svid.chain_pem()).unwrap();
        std::fs::write(directory.join("tls.key"), svid.key_pem().as_bytes()).unwrap();
        std::fs::write(directory.join("ca.crt"), roots).unwrap();
    }

    /// One request to the server's proxy from the bridge with this certificate.
    pub(crate) fn call(&self, mesh: &Mesh, address: SocketAddr, svid: &Svid) -> Result<u16, String> {
        converse(mesh, address, self.tls().client(svid, server()).unwrap())
    }

    /// The same on a connection that is there already.
    pub(crate) fn call_on(&self, stream: TcpStream, svid: &Svid) -> Result<u16, String> {
        let config = self.tls().client(svid, server()).unwrap();
        answered(converse_on(stream, config))
    }

    /// Speaks TLS on a connection to that server's proxy, with this certificate and application protocol.
    pub(crate) fn secure(
        &self,
        stream: TcpStream,
        svid: &Svid,
        server: &str,
        protocol: &str,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let tls = self.tls().with_alpn(&[protocol.as_bytes()]);
        let expected = Expected::only(id("cluster.local", server));
        let name = ServerName::from(stream.peer_addr().unwrap().ip());
        let connection = ClientConnection::new(tls.client(svid, expected).unwrap(), name).unwrap();
        StreamOwned::new(connection, stream)
    }

    /// The same without any.
    pub(crate) fn call_without(&self, mesh: &Mesh, address: SocketAddr) -> Result<u16, String> {
        converse(mesh, address, self.tls().anonymous_client(server()).unwrap())
    }

    fn tls(&self) -> TlsSettings {
        TlsSettings::new(self.bundles.clone(), MESH)
    }
}

/// Roots of an authority of its own, and a certificate under it.
pub(crate) fn elsewhere(trust_domain: &str, account: &str) -> (TrustBundle, Svid) {
    let domain = TrustDomain::new(trust_domain).unwrap();
    let now = SystemTime::now();
    let authority = Authority::create(&domain, now).unwrap();
    let svid = sign(&authority, trust_domain, account, now, HOUR);
    (authority.bundle().unwrap(), svid)
}

/// A root that signs whatever name it likes.
pub(crate) struct Shameless(Issuer<'static, KeyPair>, String);

impl Shameless {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.1
    }

    pub(crate) fn svid(&self, trust_domain: &str, account: &str) -> Svid {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let id = id(trust_domain, account);
        params.subject_alt_names = vec![SanType::URI(id.as_str().try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.0).unwrap().pem();
        Svid::from_pem(format!("{leaf}{}", key.serialize_pem()).as_bytes()).unwrap()
    }
}

fn server() -> Expected {
    Expected::only(id("cluster.local", "server"))
}

fn converse(mesh: &Mesh, address: SocketAddr, config: Arc<ClientConfig>) -> Result<u16, String> {
    let answer = mesh
        .bridge()
        .enter(|| converse_on(TcpStream::connect(address)?, config));
    answered(answer)
}

fn converse_on(stream: TcpStream, config: Arc<ClientConfig>) -> std::io::Result<Answer> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::from(stream.peer_addr()?.ip());
    let connection = ClientConnection::new(config, name).unwrap();
    Conversation::on(StreamOwned::new(connection, stream)).send(&Request::get("server", "/"))
}

fn answered(answer: std::io::Result<Answer>) -> Result<u16, String> {
    answer
        .map(|answer| answer.status)
        .map_err(|error| error.to_string())
}

fn sign(authority: &Authority, trust_domain: &str, account: &str, then: SystemTime, ttl: Duration) -> Svid {
    let id = id(trust_domain, account);
    let request = SvidRequest::new(&id).unwrap();
    let issued = authority.sign(request.csr_pem(), &id, then, ttl).unwrap();
    request.into_svid(&issued.chain_pem()).unwrap()
}

fn id(trust_domain: &str, account: &str) -> SpiffeId {
    SpiffeId::new(&TrustDomain::new(trust_domain).unwrap(), "default", account).unwrap()
}

/// A TLS server that shows whatever certificate it is given and answers every request with 200.
pub(crate) struct Presented(Arc<Mutex<Arc<ServerConfig>>>);

impl Presented {
    pub(crate) fn listen(spot: &Spot, port: u16, forger: &Forger, svid: &Svid) -> Self {
        let listener = spot
            .enter(|| TcpListener::bind((IpAddr::from([0, 0, 0, 0]), port)))
            .unwrap();
        let shown = Arc::new(Mutex::new(config(forger, svid)));
        let current = shown.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = current.lock().unwrap().clone();
                // A client that hangs up in the handshake is what the test is about.
                std::thread::spawn(move || drop(answer(stream, config)));
            }
        });
        Self(shown)
    }

    pub(crate) fn replace(&self, forger: &Forger, svid: &Svid) {
        *self.0.lock().unwrap() = config(forger, svid);
    }
}

fn config(forger: &Forger, svid: &Svid) -> Arc<ServerConfig> {
    forger.tls().server(svid, ClientCertificates::Optional).unwrap()
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        line.clear();
    }
    // Closed after each answer, so that the next request shakes hands anew.
    stream
        .get_mut()
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    stream.get_mut().conn.send_close_notify();
    stream.get_mut().flush()
}
