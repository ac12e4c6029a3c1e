//! A server outside the mesh that speaks TLS, and the files by which clients know it and it them.

use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use wattle_identity::{
    Authority, BundleSet, ClientCertificates, SpiffeId, Svid, SvidRequest, TlsSettings, TrustDomain,
};
use wattle_testkit::Spot;

const DOMAIN: &str = "outside.example";
/// Longest wait for a part of a request.
const PATIENCE: Duration = Duration::from_secs(20);

/// Files for proxies: `ca.pem`, `client.pem` and `client-key.pem`.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    /// A path that proxies can read.
    pub(crate) fn path(&self) -> String {
        self.0.path().display().to_string()
    }
}

/// Starts it; it answers every request with the name that the client asked for and whether it showed a certificate.
pub(crate) fn start(spot: &Spot, port: u16) -> Files {
    let authority = Authority::create(&TrustDomain::new(DOMAIN).unwrap(), SystemTime::now()).unwrap();
    let bundle = authority.bundle().unwrap();
    let files = written(&authority, &bundle.to_pem());
    let settings = TlsSettings::new(Arc::new(BundleSet::only(bundle)), &[b"http/1.1"]);
    let config = settings
        .server(&svid(&authority, "server"), ClientCertificates::Optional)
        .unwrap();
    let mut config = ServerConfig::clone(&config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
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
    files
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

fn written(authority: &Authority, roots: &str) -> Files {
    let files = Files(tempfile::Builder::new().prefix("wt").tempdir_in("/tmp").unwrap());
    let directory = files.0.path();
    fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
    let client = svid(authority, "client");
    for (name, text) in [
        ("ca.pem", roots),
        ("client.pem", &client.chain_pem()),
        ("client-key.pem", &client.key_pem()),
    ] {
        let path = directory.join(name);
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
