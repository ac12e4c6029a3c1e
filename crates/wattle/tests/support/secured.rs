//! Servers outside the mesh that speak TLS, and the files by which clients know them and they them.

use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use wattle_identity::{
    Authority, BundleSet, ClientCertificates, SpiffeId, Svid, SvidRequest, TlsSettings, TrustBundle,
    TrustDomain,
};
use wattle_testkit::Spot;

const DOMAIN: &str = "outside.example";
/// Longest wait for a part of a request.
const PATIENCE: Duration = Duration::from_secs(20);

/// A foreign trust domain: its authority, and files for proxies, `ca.pem`, `client.pem` and `client-key.pem`.
pub(crate) struct Domain {
    authority: Authority,
    files: tempfile::TempDir,
}

impl Domain {
    pub(crate) fn new() -> Self {
        let authority = Authority::create(&TrustDomain::new(DOMAIN).unwrap(), SystemTime::now()).unwrap();
        let files = written(&authority);
        Self { authority, files }
    }

    /// A path that proxies can read.
    pub(crate) fn path(&self) -> String {
        self.files.path().display().to_string()
    }

    /// How a mesh is told to believe it.
    pub(crate) fn federated(&self) -> String {
        format!("{DOMAIN}={}/ca.pem", self.path())
    }

    /// Starts a server without a mesh.
    pub(crate) fn start(&self, spot: &Spot, port: u16) {
        let known = BundleSet::only(self.authority.bundle().unwrap());
        self.serve(spot, port, known, (ClientCertificates::Optional, "http/1.1"));
    }

    /// Starts one of its own mesh, which believes the roots of another one.
    pub(crate) fn start_meshed(&self, spot: &Spot, port: u16, others: TrustBundle) {
        let mut known = BundleSet::only(self.authority.bundle().unwrap());
        known.insert(others).unwrap();
        self.serve(
            spot,
            port,
            known,
            (ClientCertificates::Required, "istio-http/1.1"),
        );
    }

    /// It answers every request with the name that the client asked for and whether it showed a certificate.
    fn serve(
        &self,
        spot: &Spot,
        port: u16,
        known: BundleSet,
        (certificates, token): (ClientCertificates, &str),
    ) {
        let settings = TlsSettings::new(Arc::new(known), &[token.as_bytes()]);
        let config = settings
            .server(&svid(&self.authority, "server"), certificates)
            .unwrap();
        let mut config = ServerConfig::clone(&config);
        config.alpn_protocols = vec![token.as_bytes().to_vec()];
        let config = Arc::new(config);
        let listener = spot
            .enter(|| TcpListener::bind((IpAddr::from([0, 0, 0, 0]), port)))
            .unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = config.clone();
                std::thread::spawn(move || drop(answer(stream, config)));
            }
        });
    }
}

fn svid(authority: &Authority, account: &str) -> Svid {
    let id = SpiffeId::new(&TrustDomain::new(DOMAIN).unwrap(), "default", account).unwrap();
    let request = SvidRequest::new(&id).unwrap();
    let life = Duration::from_secs(24 * 3600);
    let issued = authority
        .sign(request.csr_pem(), &id, SystemTime::now(), life)
        .unwrap();
    request.into_svid(&issued.chain_pem()).unwrap()
}

fn written(authority: &Authority) -> tempfile::TempDir {
    let files = tempfile::Builder::new().prefix("wt").tempdir_in("/tmp").unwrap();
    fs::set_permissions(files.path(), Permissions::from_mode(0o755)).unwrap();
    let client = svid(authority, "client");
    for (name, text) in [
        ("ca.pem", &authority.bundle().unwrap().to_pem()),
        ("client.pem", &client.chain_pem()),
        ("client-key.pem", &client.key_pem()),
    ] {
        let path = files.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    }
    files
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        line.clear();
    }
    let connection = &stream.get_ref().conn;
    let name = connection.server_name().unwrap_or("none").to_owned();
    let shown = connection.peer_certificates().is_some();
    let head = format!(
        "HTTP/1.1 200 OK\r\nX-Asked-For: {name}\r\nX-Certificate: {shown}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.get_mut().write_all(head.as_bytes())?;
    stream.get_mut().conn.send_close_notify();
    stream.get_mut().flush()
}
