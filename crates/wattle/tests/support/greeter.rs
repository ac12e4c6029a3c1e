//! A server of bytes that says who it is: to a line, and to a TLS handshake, which it answers in the clear.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::server::Acceptor;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::ServerName;
use wattle_testkit::Spot;

/// First byte of a TLS record that is part of a handshake.
const HANDSHAKE: u8 = 22;
/// Longest wait for bytes that must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts one at a workload's place; it serves until the test process ends.
pub(crate) fn start(spot: &Spot, port: u16, name: &'static str) {
    let listener = spot
        .enter(|| TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, port)))
        .unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(greet(stream, name)));
        }
    });
}

fn greet(mut stream: TcpStream, name: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut first = [0];
    stream.peek(&mut first)?;
    let asked = match first[0] {
        HANDSHAKE => server_name(&mut stream)?,
        // The second version of the PROXY protocol begins so.
        b'\r' => {
            announcement(&mut stream)?;
            format!("PROXY of bytes, {}", line(&mut stream)?)
        }
        _ => line(&mut stream)?,
    };
    // The rest of the announcement has the caller's address. What it was for is read as well: to close with bytes unread
    // would take back the answer.
    let asked = match asked.strip_prefix("PROXY TCP4 ") {
        Some(_) => format!("PROXY TCP4, {}", line(&mut stream)?),
        None => asked,
    };
    stream.write_all(format!("{name} heard {asked}\n").as_bytes())
}

/// Reads over an announcement of the second version: 16 bytes, the last two of which say how many follow.
fn announcement(stream: &mut TcpStream) -> io::Result<()> {
    let mut head = [0; 16];
    stream.read_exact(&mut head)?;
    let rest = u64::from(u16::from_be_bytes([head[14], head[15]]));
    io::copy(&mut stream.take(rest), &mut io::sink())?;
    Ok(())
}

fn line(stream: &mut TcpStream) -> io::Result<String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while stream.read(&mut byte)? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8(line).map_err(io::Error::other)
}

/// The name that a handshake asks for.
fn server_name(stream: &mut TcpStream) -> io::Result<String> {
    let mut acceptor = Acceptor::default();
    loop {
        acceptor.read_tls(stream)?;
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let name = accepted.client_hello().server_name().map(str::to_owned);
                return Ok(name.unwrap_or_default());
            }
            Ok(None) => {}
            Err((error, _)) => return Err(io::Error::other(error)),
        }
    }
}

/// What is said on a new connection to a line, or to the beginning of a handshake with this name; nothing where the
/// connection ends first.
pub(crate) fn ask(address: SocketAddr, hello: Option<&str>) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let bytes = hello.map_or_else(|| b"who\n".to_vec(), client_hello);
    stream.write_all(&bytes).ok()?;
    line(&mut stream).ok().filter(|line| !line.is_empty())
}

fn client_hello(name: &str) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}
