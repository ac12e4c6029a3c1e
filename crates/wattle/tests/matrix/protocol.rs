//! What is spoken on a connection, and how its answer is told from a refusal.

use std::io::{self, Read, Write};

/// The start of every connection of HTTP/2, and empty settings (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
/// Headers of the whole of a request, on stream 1.
const GET: &[u8] = b"\0\0\x0b\x01\x05\0\0\0\x01\x82\x84\x86\x41\x06server";
/// `:status: 200` in the static table (RFC 7541, appendix A).
const OK: u8 = 0x88;
/// What a server says that speaks first.
pub(crate) const GREETING: &[u8] = b"220 ready\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Http1,
    Http2,
    Grpc,
    ServerFirst,
}

impl Protocol {
    pub(crate) const ALL: [Self; 5] = [Self::Tcp, Self::Http1, Self::Http2, Self::Grpc, Self::ServerFirst];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Grpc => "grpc",
            Self::ServerFirst => "first",
        }
    }

    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Http1 => 8080,
            Self::Http2 => 8081,
            Self::Grpc => 8082,
            Self::Tcp => 9090,
            Self::ServerFirst => 9091,
        }
    }

    /// As the manifests declare it.
    pub(crate) fn declared(self) -> &'static str {
        match self {
            Self::Http1 => "http",
            Self::Http2 => "kubernetes.io/h2c",
            Self::Grpc => "grpc",
            Self::Tcp | Self::ServerFirst => "tcp",
        }
    }

    /// By which proxies name it to each other in TLS.
    pub(crate) fn token(self) -> &'static str {
        match self {
            Self::Http1 => "istio-http/1.1",
            Self::Http2 | Self::Grpc => "istio-h2",
            Self::Tcp | Self::ServerFirst => "istio",
        }
    }

    /// Whether the application's answer arrives; not for gRPC, which [`Caller`](crate::calls::Caller) speaks.
    pub(crate) fn is_answered(self, mut stream: impl Read + Write) -> bool {
        let answered = match self {
            Self::Tcp => echoed(&mut stream),
            Self::Http1 => http1(&mut stream),
            Self::Http2 => http2(&mut stream),
            Self::Grpc => panic!("its library speaks it"),
            Self::ServerFirst => greeted(&mut stream),
        };
        // Whatever kind of end: it is no answer.
        answered.unwrap_or(false)
    }
}

fn echoed(stream: &mut (impl Read + Write)) -> io::Result<bool> {
    stream.write_all(b"word\n")?;
    stream.flush()?;
    let mut heard = [0; 5];
    stream.read_exact(&mut heard)?;
    Ok(&heard == b"word\n")
}

fn greeted(stream: &mut (impl Read + Write)) -> io::Result<bool> {
    let mut heard = vec![0; GREETING.len()];
    stream.read_exact(&mut heard)?;
    Ok(heard == GREETING && echoed(stream)?)
}

fn http1(stream: &mut (impl Read + Write)) -> io::Result<bool> {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: server\r\nconnection: close\r\n\r\n")?;
    stream.flush()?;
    let mut heard = [0; 12];
    stream.read_exact(&mut heard)?;
    Ok(&heard == b"HTTP/1.1 200")
}

/// Whether the answer is 200 with a message.
fn http2(stream: &mut (impl Read + Write)) -> io::Result<bool> {
    stream.write_all(PREFACE)?;
    stream.write_all(GET)?;
    stream.flush()?;
    let mut good = false;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let [a, b, c, kind, flags, rest @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload)?;
        match (kind, rest) {
            (HEADERS, [0, 0, 0, 1]) => good |= payload.first() == Some(&OK),
            (DATA, [0, 0, 0, 1]) if good && !payload.is_empty() => return Ok(true),
            _ => {}
        }
        if rest == [0, 0, 0, 1] && flags & END_STREAM != 0 {
            return Ok(false);
        }
    }
}
