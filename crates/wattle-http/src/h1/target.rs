//! Request targets and hosts (RFC 9112 §3.2).

use crate::{ByteStr, ParseError, Scheme};
use bytes::Bytes;
use http::Method;

/// A request target, taken apart.
pub(crate) struct Target {
    pub(crate) scheme: Scheme,
    /// Present in absolute and authority form, where it overrides `Host`.
    pub(crate) authority: Option<ByteStr>,
    pub(crate) path_and_query: ByteStr,
}

pub(crate) fn parse(method: &Method, target: Bytes) -> Result<Target, ParseError> {
    let clean = target
        .iter()
        .all(|byte| *byte > b' ' && *byte != 0x7f && *byte != b'#');
    let text = ByteStr::from_utf8(target)
        .filter(|_| clean)
        .ok_or(ParseError::Target)?;
    match (text.as_bytes().first(), method) {
        (Some(_), &Method::CONNECT) => connect(text),
        (Some(b'/'), _) => Ok(Target {
            scheme: Scheme::Http,
            authority: None,
            path_and_query: text,
        }),
        (Some(b'*'), &Method::OPTIONS) if text.len() == 1 => Ok(Target {
            scheme: Scheme::Http,
            authority: None,
            path_and_query: text,
        }),
        _ => absolute(text.into_bytes()),
    }
}

fn connect(text: ByteStr) -> Result<Target, ParseError> {
    let port = text.as_str().rsplit_once(':').map(|(_, port)| port);
    let has_port =
        port.is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    if !has_port || !is_host(text.as_bytes()) {
        return Err(ParseError::Target);
    }
    Ok(Target {
        scheme: Scheme::Http,
        authority: Some(text),
        path_and_query: ByteStr::new(),
    })
}

fn absolute(text: Bytes) -> Result<Target, ParseError> {
    let (scheme, length) = match () {
        () if starts_with(&text, b"http://") => (Scheme::Http, 7),
        () if starts_with(&text, b"https://") => (Scheme::Https, 8),
        () => return Err(ParseError::Target),
    };
    let rest = text.slice(length..);
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let authority = host(rest.slice(..end)).map_err(|_| ParseError::Target)?;
    let path = match rest.get(end) {
        None => ByteStr::from_static("/"),
        Some(b'?') => ByteStr::from(format!("/{}", String::from_utf8_lossy(&rest[end..]))),
        Some(_) => ByteStr::from_utf8(rest.slice(end..)).ok_or(ParseError::Target)?,
    };
    if authority.is_empty() {
        return Err(ParseError::Target);
    }
    Ok(Target {
        scheme,
        authority: Some(authority),
        path_and_query: path,
    })
}

fn starts_with(text: &[u8], scheme: &[u8]) -> bool {
    text.get(..scheme.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

/// A `Host` field's value as an authority; it may be empty, it may not hold user information.
pub(crate) fn host(value: Bytes) -> Result<ByteStr, ParseError> {
    if !is_host(&value) {
        return Err(ParseError::HostInvalid);
    }
    ByteStr::from_utf8(value).ok_or(ParseError::HostInvalid)
}

/// Whether these bytes can be a host with an optional port: what may go on a `Host` line.
pub(crate) fn is_host(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| OF_HOSTS[usize::from(*byte)]) && has_one_port(bytes)
}

/// Bytes that may be in a host with its port: asked for each byte of each request's, and so looked up.
static OF_HOSTS: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        allowed[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-._:[]~%!$&'()*+,;=";
    let mut index = 0;
    while index < others.len() {
        allowed[others[index] as usize] = true;
        index += 1;
    }
    allowed
};

/// Whether it is an address in brackets or a name without any, and then at most one port: nobody must be able to find
/// another host in it.
fn has_one_port(bytes: &[u8]) -> bool {
    let (host, rest) = match bytes.strip_prefix(b"[") {
        Some(literal) => match literal.iter().position(|byte| *byte == b']') {
            Some(end) if end > 0 => (&literal[..end], &literal[end + 1..]),
            _ => return false,
        },
        None => bytes.split_at(bytes.iter().position(|byte| *byte == b':').unwrap_or(bytes.len())),
    };
    let port = match rest {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    port && !host.iter().any(|byte| b"[]".contains(byte))
}

/// Whether nobody takes the method for another: methods are told apart by case (RFC 9110 §9.1), and all there are have
/// capitals, but some servers take `get` for `GET`.
pub(crate) fn is_plain(method: &Method) -> bool {
    !method.as_str().bytes().any(|byte| byte.is_ascii_lowercase())
}

/// Whether these bytes can go on a request line as a target.
pub(crate) fn is_writable(path: &[u8]) -> bool {
    !path.is_empty() && path.iter().all(|byte| *byte > b' ' && *byte != 0x7f)
}
