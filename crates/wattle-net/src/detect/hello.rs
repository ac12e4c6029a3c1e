//! The ClientHello of TLS (RFC 8446 section 4.1.2), read only as far as its names.

use bytes::Bytes;

use super::Verdict;

/// Content type of a record that carries handshake messages.
pub(super) const HANDSHAKE_RECORD: u8 = 22;

const CLIENT_HELLO: u8 = 1;
const RECORD_HEADER_BYTES: usize = 5;
const MESSAGE_HEADER_BYTES: usize = 4;
/// Largest plaintext record (RFC 8446 section 5.1).
const RECORD_LIMIT_BYTES: usize = 1 << 14;
const EXTENSION_SERVER_NAME: u16 = 0;
const EXTENSION_ALPN: u16 = 16;
/// Protocols remembered of one client; what it offers beyond them is left out.
const ALPN_LIMIT: usize = 32;

/// What a client asks of TLS before anything is encrypted; none of it is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The server name (RFC 6066), lower case; `None` when absent or not a host name.
    pub sni: Option<String>,
    /// The application protocols offered (RFC 7301), in the client's order, at most 32.
    pub alpn: Vec<Bytes>,
}

/// Judges bytes that start with a handshake record.
pub(super) fn classify(look: &[u8]) -> Verdict {
    match gather(look) {
        Gathered::More => Verdict::NeedMore,
        Gathered::Not => Verdict::Opaque,
        Gathered::Whole(body) => parse_client_hello(&body).map_or(Verdict::Opaque, Verdict::Tls),
    }
}

enum Gathered {
    More,
    Not,
    Whole(Vec<u8>),
}

/// Joins the records of the first handshake message and gives its body.
fn gather(mut look: &[u8]) -> Gathered {
    let mut message = Vec::new();
    while !look.is_empty() {
        let length = match record_length(look) {
            None => return Gathered::Not,
            Some(None) => return Gathered::More,
            Some(Some(length)) => length,
        };
        let body = &look[RECORD_HEADER_BYTES..];
        message.extend_from_slice(&body[..body.len().min(length)]);
        match whole(&message) {
            Gathered::More => {}
            decided => return decided,
        }
        look = body.get(length..).unwrap_or_default();
    }
    Gathered::More
}

/// `None`: this cannot be a handshake record. `Some(None)`: so far it can.
#[allow(clippy::option_option)]
fn record_length(look: &[u8]) -> Option<Option<usize>> {
    let plausible = match look {
        [] => true,
        [kind, rest @ ..] => {
            *kind == HANDSHAKE_RECORD
                && rest.first().is_none_or(|major| *major == 3)
                && rest.get(1).is_none_or(|minor| *minor <= 4)
        }
    };
    if !plausible {
        return None;
    }
    let (Some(high), Some(low)) = (look.get(3), look.get(4)) else {
        return Some(None);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    (1..=RECORD_LIMIT_BYTES).contains(&length).then_some(Some(length))
}

/// The body of the first message, when all of it is there.
fn whole(message: &[u8]) -> Gathered {
    if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Gathered::Not;
    }
    let [_, high, middle, low, body @ ..] = message else {
        return Gathered::More;
    };
    let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
    if length + MESSAGE_HEADER_BYTES > super::LOOK_LIMIT_BYTES {
        return Gathered::Not;
    }
    match body.get(..length) {
        Some(body) => Gathered::Whole(body.to_vec()),
        None => Gathered::More,
    }
}

/// Reads the body of a ClientHello message, without its four-byte header; `None` when malformed.
#[must_use]
pub fn parse_client_hello(body: &[u8]) -> Option<ClientHello> {
    let mut rest = Reader(body);
    rest.take(2 + 32)?; // legacy version and random
    rest.sized_u8()?; // legacy session id
    rest.sized_u16()?; // cipher suites
    rest.sized_u8()?; // compression methods
    let mut hello = ClientHello::default();
    if rest.0.is_empty() {
        return Some(hello);
    }
    let mut extensions = rest.sized_u16()?;
    if !rest.0.is_empty() {
        return None;
    }
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let extension = extensions.sized_u16()?;
        match kind {
            EXTENSION_SERVER_NAME => hello.sni = server_name(extension)?,
            EXTENSION_ALPN => hello.alpn = protocols(extension)?,
            _ => {}
        }
    }
    Some(hello)
}

/// The outer `None` is malformed, the inner one is a name that is not a host name.
#[allow(clippy::option_option)]
fn server_name(mut extension: Reader<'_>) -> Option<Option<String>> {
    let mut names = extension.sized_u16()?;
    let mut found = None;
    while !names.0.is_empty() {
        let kind = names.take(1)?;
        let name = names.sized_u16()?;
        if kind == [0] && found.is_none() {
            found = host_name(name.0);
        }
    }
    Some(found)
}

fn host_name(name: &[u8]) -> Option<String> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    if name.is_empty() || name.len() > 255 || !name.iter().all(plain) {
        return None;
    }
    let name = std::str::from_utf8(name).ok()?;
    Some(name.to_ascii_lowercase())
}

fn protocols(mut extension: Reader<'_>) -> Option<Vec<Bytes>> {
    let mut list = extension.sized_u16()?;
    let mut found = Vec::new();
    while !list.0.is_empty() {
        let protocol = list.sized_u8()?;
        if protocol.0.is_empty() {
            return None;
        }
        if found.len() < ALPN_LIMIT {
            found.push(Bytes::copy_from_slice(protocol.0));
        }
    }
    Some(found)
}

/// The bytes not read yet; every step checks the length.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn sized_u8(&mut self) -> Option<Self> {
        let count = usize::from(self.take(1)?[0]);
        self.take(count).map(Self)
    }

    fn sized_u16(&mut self) -> Option<Self> {
        let count = usize::from(self.u16()?);
        self.take(count).map(Self)
    }
}
