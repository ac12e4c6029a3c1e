//! HTTP/2 frames from text, right and wrong ones, and the little of HPACK that a status needs.
//!
//! ```text
//! headers STREAM FLAGS NAME=VALUE; …        FLAGS: e END_STREAM, h END_HEADERS, - none; `get:PATH` and `post:PATH` stand
//! continuation STREAM FLAGS NAME=VALUE; …   for the four pseudo-headers of a request to host x
//! data STREAM FLAGS BYTES
//! frame TYPE FLAGS STREAM BYTES             anything, numbers in decimal
//! ```

use crate::text::bytes_of;

/// The preface and empty SETTINGS.
pub fn opening() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(encoded(4, 0, 0, &[]));
    bytes
}

/// The frame that a line stands for.
pub fn frame(kind: &str, rest: &str) -> Vec<u8> {
    let mut words = rest.splitn(3, ' ');
    let mut next = || words.next().unwrap_or_default();
    match kind {
        "headers" | "continuation" => {
            let (stream, flags) = (number(next()), flags(next()));
            let kind = if kind == "headers" { 1 } else { 9 };
            encoded(kind, flags, stream, &block(next()))
        }
        "data" => {
            let (stream, flags) = (number(next()), flags(next()));
            encoded(0, flags, stream, &bytes_of(next()))
        }
        "frame" => {
            let (kind, flags) = (number(next()), number(next()));
            let rest = next();
            let (stream, payload) = rest.split_once(' ').unwrap_or((rest, ""));
            encoded(kind as u8, flags as u8, number(stream), &bytes_of(payload))
        }
        other => panic!("no frame `{other}`"),
    }
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or_else(|_| panic!("not a number: `{text}`"))
}

fn flags(text: &str) -> u8 {
    text.bytes()
        .map(|letter| match letter {
            b'e' => 1,
            b'h' => 4,
            b'-' => 0,
            other => panic!("no flag `{}`", char::from(other)),
        })
        .sum()
}

fn encoded(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Fields as literals without indexing (RFC 7541 §6.2.2); `hpack:BYTES` stands for itself.
fn block(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for field in text
        .split(';')
        .map(|field| field.strip_prefix(' ').unwrap_or(field))
    {
        if let Some(raw) = field.strip_prefix("hpack:") {
            out.extend(bytes_of(raw));
        } else if let Some(path) = field.strip_prefix("get:") {
            pseudo("GET", path, &mut out);
        } else if let Some(path) = field.strip_prefix("post:") {
            pseudo("POST", path, &mut out);
        } else if let Some((name, value)) = field.split_once('=') {
            literal(&bytes_of(name), &bytes_of(value), &mut out);
        }
    }
    out
}

fn pseudo(method: &str, path: &str, out: &mut Vec<u8>) {
    for (name, value) in [
        (":method", method),
        (":scheme", "http"),
        (":authority", "x"),
        (":path", path),
    ] {
        literal(name.as_bytes(), value.as_bytes(), out);
    }
}

fn literal(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.push(0);
    for text in [name, value] {
        length(text.len(), out);
        out.extend(text);
    }
}

/// An integer with a prefix of 7 bits (RFC 7541 §5.1).
fn length(length: usize, out: &mut Vec<u8>) {
    if length < 127 {
        return out.push(length as u8);
    }
    out.push(127);
    let mut left = length - 127;
    while left >= 128 {
        out.push(left as u8 | 128);
        left >>= 7;
    }
    out.push(left as u8);
}

/// A frame that was received.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// Takes the frames that are complete off the front.
pub fn take(bytes: &mut Vec<u8>) -> Vec<Received> {
    let mut frames = Vec::new();
    while bytes.len() >= 9 {
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        if bytes.len() < 9 + length {
            break;
        }
        frames.push(Received {
            kind: bytes[3],
            flags: bytes[4],
            stream: u32::from_be_bytes([bytes[5] & 0x7f, bytes[6], bytes[7], bytes[8]]),
            payload: bytes[9..9 + length].to_vec(),
        });
        bytes.drain(..9 + length);
    }
    frames
}

/// The status that a header block begins with; nothing where it refers to what was said before.
pub fn status(block: &[u8]) -> Option<u16> {
    const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    let (first, rest) = block.split_first()?;
    match first {
        0x88..=0x8e => Some(INDEXED[usize::from(first - 0x88)]),
        // A literal whose name is the static table's `:status`.
        0x48..=0x4e | 0x08..=0x0e | 0x18..=0x1e => {
            let (length, rest) = rest.split_first()?;
            let text = rest.get(..usize::from(length & 0x7f))?;
            match length & 0x80 {
                0 => std::str::from_utf8(text).ok()?.parse().ok(),
                _ => huffman_digits(text),
            }
        }
        _ => None,
    }
}

/// Digits of the code of RFC 7541 appendix B: 0 to 2 have five bits, the others six.
fn huffman_digits(text: &[u8]) -> Option<u16> {
    let bits = text.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
    let mut left = text.len() * 8;
    let peek = |left: usize, count: usize| {
        let shift = left.checked_sub(count)?;
        Some(bits >> shift & ((1 << count) - 1))
    };
    let mut number = 0;
    for _ in 0..3 {
        let (digit, used) = match peek(left, 5)? {
            short @ 0..=2 => (short, 5),
            _ => (peek(left, 6)?.checked_sub(0x16).filter(|digit| *digit < 10)?, 6),
        };
        left -= used;
        number = number * 10 + digit as u16;
    }
    Some(number)
}

#[test]
fn a_status_is_read_in_all_of_its_forms() {
    assert_eq!(status(&[0x88]), Some(200));
    assert_eq!(status(&[0x08, 3, b'5', b'0', b'5']), Some(505));
    // 431: 011010 011001 00001, padded with ones.
    assert_eq!(
        status(&[0x48, 0x83, 0b0110_1001, 0b1001_0000, 0b1111_1111]),
        Some(431)
    );
    assert_eq!(status(&[0xbe]), None);
}
