//! Sends an input to a proxy and says what became of it.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::backend::Backend;
use crate::frames;

/// A proxy that has said nothing for so long waits for more.
const SILENCE: Duration = Duration::from_millis(2500);
/// After an answer: whether another follows.
const MORE: Duration = Duration::from_millis(200);
/// Longest look at one input.
const PATIENCE: Duration = Duration::from_secs(20);

/// What became of an input: refused how, or forwarded as what.
pub fn probe(bytes: &[u8], http2: bool, mut stream: TcpStream, backend: &Backend) -> String {
    backend.take();
    stream.set_nodelay(true).unwrap();
    // A proxy that closes early is one of the outcomes.
    let _ = stream.write_all(bytes);
    let mut heard = Heard::new(http2, bytes);
    let begun = Instant::now();
    let mut piece = [0; 16 * 1024];
    while begun.elapsed() < PATIENCE {
        let wait = if heard.is_complete() { MORE } else { SILENCE };
        stream.set_read_timeout(Some(wait)).unwrap();
        match stream.read(&mut piece) {
            Ok(0) => heard.closed = true,
            Ok(length) => heard.take(&piece[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(_) => heard.closed = true,
        }
        if heard.closed {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
    let mut messages = backend.take();
    if http2 {
        // Streams have no order.
        messages.sort();
    }
    verdict(&heard.told(), &messages)
}

fn verdict(answered: &str, messages: &[String]) -> String {
    match (answered, messages) {
        (answered, []) => answered.to_owned(),
        ("", messages) => format!("forwarded {}", messages.join(" | ")),
        (answered, messages) => format!("forwarded {}, then {answered}", messages.join(" | ")),
    }
}

struct Heard {
    http2: bool,
    /// Streams that the input opens.
    asked: usize,
    bytes: Vec<u8>,
    /// What is no plain success.
    said: Vec<String>,
    successes: usize,
    /// By stream: it was answered.
    streams: BTreeMap<u32, bool>,
    closed: bool,
}

impl Heard {
    fn new(http2: bool, sent: &[u8]) -> Self {
        let mut frames = sent
            .strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .unwrap_or_default()
            .to_vec();
        let opened = frames::take(&mut frames);
        let mut streams: Vec<_> = opened
            .iter()
            .filter(|frame| frame.kind == 1)
            .map(|frame| frame.stream)
            .collect();
        streams.dedup();
        Self {
            http2,
            asked: streams.len(),
            bytes: Vec::new(),
            said: Vec::new(),
            successes: 0,
            streams: BTreeMap::new(),
            closed: false,
        }
    }

    fn is_complete(&self) -> bool {
        match self.http2 {
            true => self.asked > 0 && self.streams.values().filter(|ended| **ended).count() >= self.asked,
            false => self.successes > 0 || !self.said.is_empty(),
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        // A proxy that takes it for HTTP/1 answers so.
        let is_text = self.bytes.starts_with(b"HTTP/");
        if self.http2 && !is_text {
            frames::take(&mut self.bytes)
                .into_iter()
                .for_each(|frame| self.frame(frame));
        } else {
            while self.response() {}
        }
    }

    fn frame(&mut self, frame: frames::Received) {
        let code = |at: usize| frame.payload.get(at + 3).map_or("?", |code| code_name(*code));
        match frame.kind {
            1 if !self.streams.contains_key(&frame.stream) => {
                self.streams.insert(frame.stream, frame.flags & 1 != 0);
                match frames::status(&frame.payload) {
                    Some(100) => {
                        self.streams.remove(&frame.stream);
                    }
                    Some(200) | None => self.successes += 1,
                    Some(status) => self.said.push(status.to_string()),
                }
            }
            0 | 1 if frame.flags & 1 != 0 => {
                self.streams.insert(frame.stream, true);
            }
            // After an answer it says that no more of the request is wanted.
            3 if self.streams.insert(frame.stream, true).is_none() => {
                self.said.push(format!("reset {}", code(0)));
            }
            7 if code(4) != "NO_ERROR" => self.said.push(format!("goaway {}", code(4))),
            _ => {}
        }
    }

    /// Takes a whole response off the front, if there is one.
    fn response(&mut self) -> bool {
        let Some(end) = self.bytes.windows(4).position(|part| part == b"\r\n\r\n") else {
            return false;
        };
        let head = String::from_utf8_lossy(&self.bytes[..end]).to_ascii_lowercase();
        let field = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(':'));
            lines
                .find(|(found, _)| *found == name)
                .map(|(_, value)| value.trim().to_owned())
        };
        let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let length = field("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        // The answer to HEAD has a length and no body; nothing follows it here.
        let whole = (end + 4 + length).min(self.bytes.len());
        match (status.as_str(), field("wattle-reason")) {
            ("100", _) => {}
            ("200", None) => self.successes += 1,
            (status, None) => self.said.push(status.to_owned()),
            (status, Some(reason)) => self.said.push(format!("{status} {reason}")),
        }
        self.bytes.drain(..whole);
        true
    }

    fn told(&self) -> String {
        match (self.said.as_slice(), self.successes) {
            ([], 0) if self.closed => "closed".to_owned(),
            ([], 0) => "waits".to_owned(),
            (said, _) => said.join(", "),
        }
    }
}

/// Names of error codes (RFC 9113 §7).
fn code_name(code: u8) -> &'static str {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    NAMES.get(usize::from(code)).copied().unwrap_or("?")
}
