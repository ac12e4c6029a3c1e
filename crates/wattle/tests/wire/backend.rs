//! A server that writes down every message it understands, strictly, and answers each.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::text::text_of;

/// Longest head.
const HEAD_BYTES: usize = 256 * 1024;
/// What carriers add or write themselves.
const CARRIERS: [&str; 14] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-internal",
    "x-forwarded-client-cert",
    "wattle-http1",
    "accept-encoding",
    "x-carried",
    "date",
];

/// A running recorder; it serves until the test process ends.
#[derive(Clone)]
pub struct Backend {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Backend {
    /// Serves a listener.
    pub fn serve(listener: TcpListener) -> Self {
        let backend = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
        };
        let own = backend.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || drop(own.converse(stream)));
            }
        });
        backend
    }

    /// What came since the last look.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    fn note(&self, message: String) {
        self.seen.lock().unwrap().push(message);
    }

    fn converse(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut first = [0; 3];
        // One segment brings more than this, or nothing of use.
        if stream.peek(&mut first)? == 3 && first == *b"PRI" {
            return self.multiplexed(stream);
        }
        let mut writer = stream.try_clone()?;
        let mut reader = BufReader::new(stream);
        while let Some(message) = hear(&mut reader)? {
            self.note(message.told());
            let (status, body) = match message.method.as_str() {
                "CONNECT" => (405, "ok"),
                "HEAD" => (200, ""),
                _ => (200, "ok"),
            };
            write!(
                writer,
                "HTTP/1.1 {status} Noted\r\nContent-Length: 2\r\n\r\n{body}"
            )?;
        }
        Ok(())
    }

    fn multiplexed(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::from_std(stream)?;
            let mut connection = h2::server::Builder::new()
                .enable_connect_protocol()
                .handshake::<_, Bytes>(stream)
                .await
                .map_err(io::Error::other)?;
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(self.clone().answer(request, respond));
            }
            Ok(())
        })
    }

    async fn answer(
        self,
        request: http::Request<h2::RecvStream>,
        mut respond: h2::server::SendResponse<Bytes>,
    ) {
        let (parts, mut body) = request.into_parts();
        let mut length = 0;
        while let Some(data) = body.data().await {
            // A message that is not complete is none.
            let Ok(data) = data else { return };
            length += data.len();
            let _ = body.flow_control().release_capacity(data.len());
        }
        let Ok(trailers) = body.trailers().await else {
            return;
        };
        let text = |value: &http::HeaderValue| value.as_bytes().to_vec();
        let fields = parts.headers.iter().chain(trailers.iter().flatten());
        let message = Message {
            method: parts.method.to_string(),
            target: parts
                .uri
                .path_and_query()
                .map_or_else(String::new, ToString::to_string),
            host: parts
                .uri
                .authority()
                .map_or_else(String::new, ToString::to_string),
            fields: fields
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
            length,
        };
        self.note(message.told());
        let response = http::Response::builder().status(200).body(()).unwrap();
        if let Ok(mut send) = respond.send_response(response, false) {
            let _ = send.send_data(Bytes::from_static(b"ok"), true);
        }
    }
}

struct Message {
    method: String,
    target: String,
    host: String,
    fields: Vec<(String, Vec<u8>)>,
    length: usize,
}

impl Message {
    /// Its one meaning, on a line.
    fn told(&self) -> String {
        let mut told = format!(
            "{} {} host={} length={}",
            self.method,
            text_of(self.target.as_bytes()),
            self.host,
            self.length
        );
        let mut fields: Vec<_> = self
            .fields
            .iter()
            .filter(|(name, value)| !CARRIERS.contains(&name.as_str()) || is_forged(value))
            .map(|(name, value)| format!(" {}={}", text_of(name.as_bytes()), text_of(value)))
            .collect();
        fields.sort();
        told.push_str(&fields.concat());
        told
    }
}

/// Inputs that pretend something say so in the value.
fn is_forged(value: &[u8]) -> bool {
    value.windows(6).any(|part| part == b"forged")
}

/// The next message; what is none ends the conversation with a note of it.
fn hear(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Message>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if head.len() >= HEAD_BYTES || reader.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let mut lines = head
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let fields: Vec<(String, Vec<u8>)> = lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            let name = text_of(&line[..colon]).to_ascii_lowercase();
            let value = line.get(colon + 1..).unwrap_or_default();
            (name, value.trim_ascii().to_vec())
        })
        .collect();
    let values = |name: &str| -> Vec<String> {
        let found = fields.iter().filter(|(found, _)| found == name);
        found.map(|(_, value)| text_of(value)).collect()
    };
    let mut message = Message {
        method: method.to_owned(),
        target: target.to_owned(),
        host: values("host").join(" AND "),
        length: 0,
        fields: fields.clone(),
    };
    match (
        values("content-length").as_slice(),
        values("transfer-encoding").as_slice(),
    ) {
        ([], []) => {}
        ([length], []) => {
            message.length = length.parse().unwrap_or(0);
            skip(reader, message.length)?;
        }
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => {
            message.length = chunked(reader, &mut message.fields)?;
        }
        _ => message.method.insert_str(0, "AMBIGUOUS "),
    }
    Ok(Some(message))
}

fn chunked(reader: &mut BufReader<TcpStream>, fields: &mut Vec<(String, Vec<u8>)>) -> io::Result<usize> {
    let mut length = 0;
    loop {
        let size = line(reader)?;
        let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
        if size == 0 {
            break;
        }
        length += size;
        skip(reader, size)?;
        line(reader)?;
    }
    loop {
        let trailer = line(reader)?;
        let Some((name, value)) = trailer.split_once(':') else {
            return Ok(length);
        };
        fields.push((name.to_ascii_lowercase(), value.trim().as_bytes().to_vec()));
    }
}

/// A message that is not complete is none.
fn skip(reader: &mut BufReader<TcpStream>, length: usize) -> io::Result<()> {
    let skipped = io::copy(&mut reader.by_ref().take(length as u64), &mut io::sink())?;
    match skipped == length as u64 {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn line(reader: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        reader.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).map_err(io::Error::other)
}
