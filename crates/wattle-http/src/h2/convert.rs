//! Heads between our form and HTTP/2's pseudo-headers, upgrades as extended CONNECT included (RFC 9113 §8.3, RFC 8441).

use crate::headers::strip_for_h2;
use crate::{Body, ByteStr, ParseError, RequestHead, ResponseHead, Scheme, Spelling};
use bytes::Bytes;
use h2::ext::Protocol;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{self, Uri};
use http::{Method, Request, Response, StatusCode, Version};

/// Says that a 2xx to an upgrade carried as extended CONNECT is the plain response it is, and no tunnel.
const UPGRADE: HeaderName = HeaderName::from_static("wattle-upgrade");
const REFUSED: HeaderValue = HeaderValue::from_static("refused");

/// A received request head, and whether it is an upgrade carried as extended CONNECT.
pub(super) fn request_in(parts: http::request::Parts) -> Result<(RequestHead, bool), ParseError> {
    let mut headers = parts.headers;
    let protocol = parts.extensions.get::<Protocol>().map(protocol_in).transpose()?;
    let mut method = parts.method;
    if !crate::h1::is_plain(&method) {
        return Err(ParseError::StartLine);
    }
    if headers.get_all(header::CONTENT_LENGTH).iter().nth(1).is_some() {
        return Err(ParseError::LengthConflict);
    }
    if method == Method::CONNECT && parts.uri.authority().is_none() {
        return Err(ParseError::HostMissing);
    }
    let extended = protocol.is_some();
    if let Some(protocol) = protocol {
        method = Method::GET;
        crate::restore_upgrade(&mut headers, protocol);
    }
    let authority = authority(&parts.uri, &mut headers)?;
    if method != Method::CONNECT
        && parts.uri.authority().is_some()
        && parts.uri.scheme_str().is_none_or(str::is_empty)
    {
        // The engine lets an empty one pass.
        return Err(ParseError::Target);
    }
    trim(&mut headers);
    let path = path_in(&method, &parts.uri)?;
    join_cookies(&mut headers);
    let scheme = if parts.uri.scheme() == Some(&uri::Scheme::HTTPS) {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let spelling = Spelling::Lower;
    let version = Version::HTTP_2;
    Ok((
        RequestHead {
            method,
            scheme,
            authority,
            path_and_query: path,
            version,
            headers,
            spelling,
        },
        extended,
    ))
}

/// The protocol of an extended CONNECT, which goes on as an upgrade; never HTTP/2 in the clear, which would hide requests.
fn protocol_in(protocol: &Protocol) -> Result<HeaderValue, ParseError> {
    let value = HeaderValue::from_str(protocol.as_str()).map_err(|_| ParseError::HeaderValue)?;
    if value.as_bytes().eq_ignore_ascii_case(b"h2c") {
        return Err(ParseError::HeaderValue);
    }
    Ok(value)
}

/// Blanks around a value are no part of it (RFC 9110 §5.5): a policy must compare what an HTTP/1 server would see.
fn trim(headers: &mut HeaderMap) {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    for value in headers.values_mut() {
        let bytes = value.as_bytes();
        if (is_blank(bytes.first()) || is_blank(bytes.last()))
            && let Ok(trimmed) = HeaderValue::from_bytes(bytes.trim_ascii())
        {
            *value = trimmed;
        }
    }
}

/// A path that does not start with a slash could pass for an absolute target on an HTTP/1 hop behind us.
fn path_in(method: &Method, uri: &Uri) -> Result<ByteStr, ParseError> {
    if *method == Method::CONNECT {
        return Ok(ByteStr::new());
    }
    let path = uri
        .path_and_query()
        .map(uri::PathAndQuery::as_str)
        .unwrap_or_default();
    if path.starts_with('/') || (path == "*" && *method == Method::OPTIONS) {
        return Ok(ByteStr::from(path));
    }
    Err(ParseError::Target)
}

fn authority(uri: &Uri, headers: &mut HeaderMap) -> Result<ByteStr, ParseError> {
    let host = headers.get(header::HOST).cloned();
    if host.is_some() {
        if headers.get_all(header::HOST).iter().count() > 1 {
            return Err(ParseError::HostConflict);
        }
        headers.remove(header::HOST);
    }
    let given = uri.authority().map(uri::Authority::as_str);
    let authority = match (given, host) {
        (Some(given), Some(host)) if !given.as_bytes().eq_ignore_ascii_case(host.as_bytes()) => {
            return Err(ParseError::HostConflict);
        }
        (Some(given), _) => ByteStr::from(given),
        (None, Some(host)) => {
            ByteStr::from_utf8(Bytes::copy_from_slice(host.as_bytes())).ok_or(ParseError::HostInvalid)?
        }
        (None, None) => ByteStr::new(),
    };
    if crate::h1::is_host(authority.as_bytes()) {
        Ok(authority)
    } else {
        Err(ParseError::HostInvalid)
    }
}

/// HTTP/2 may split cookies into fields; everyone else wants one (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(header::COOKIE).iter();
    if cookies.next().is_none() || cookies.next().is_none() {
        return;
    }
    let joined = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect::<Vec<_>>()
        .join(&b"; "[..]);
    if let Ok(joined) = HeaderValue::from_maybe_shared(Bytes::from(joined)) {
        headers.insert(header::COOKIE, joined);
    }
}

/// The form of a request on the wire; `None` when it has none. The head stays: it may have to be given back.
pub(super) fn request_out(head: &RequestHead, body: &Body) -> Option<Request<()>> {
    let upgrade = head
        .asks_for_upgrade()
        .then(|| head.headers.get(header::UPGRADE))
        .flatten();
    let mut request = Request::new(());
    *request.uri_mut() = uri(head)?;
    *request.method_mut() = head.method.clone();
    // The engine takes a target without authority only as one forwarded from HTTP/1.
    *request.version_mut() = if head.authority.is_empty() {
        Version::HTTP_11
    } else {
        Version::HTTP_2
    };
    *request.headers_mut() = head.headers.clone();
    if let Some(protocol) = upgrade {
        request
            .extensions_mut()
            .insert(Protocol::from(protocol.to_str().ok()?));
        *request.method_mut() = Method::CONNECT;
    }
    let tunnel = upgrade.is_some() || head.method == Method::CONNECT;
    tidy(request.headers_mut(), body.remaining().filter(|_| !tunnel));
    Some(request)
}

/// Takes out what HTTP/2 forbids, and states the length of a body that is there as a whole.
fn tidy(headers: &mut HeaderMap, length: Option<u64>) {
    strip_for_h2(headers);
    if let Some(length) = length.filter(|length| *length > 0)
        && !headers.contains_key(header::CONTENT_LENGTH)
    {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

fn uri(head: &RequestHead) -> Option<Uri> {
    let mut parts = uri::Parts::default();
    let authority = head.authority.clone().into_bytes();
    if !head.authority.is_empty() {
        parts.authority = Some(uri::Authority::from_maybe_shared(authority).ok()?);
    }
    if head.method != Method::CONNECT {
        parts.path_and_query = Some(path(head.path_and_query.clone())?);
        if !head.authority.is_empty() {
            parts.scheme = Some(match head.scheme {
                Scheme::Http => uri::Scheme::HTTP,
                Scheme::Https => uri::Scheme::HTTPS,
            });
        }
    }
    Uri::from_parts(parts).ok()
}

/// The engine's URI type refuses some bytes that HTTP/1 servers accept; percent-encoding them means the same.
fn path(path: ByteStr) -> Option<uri::PathAndQuery> {
    let bytes = path.clone().into_bytes();
    if let Ok(path) = uri::PathAndQuery::from_maybe_shared(bytes) {
        return Some(path);
    }
    let mut encoded = Vec::with_capacity(path.len() + 16);
    for byte in path.as_bytes() {
        match byte {
            b'<' | b'>' | b'`' | b'"' | b'|' | b'\\' | b'^' | b'{' | b'}' => {
                encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
            }
            _ => encoded.push(*byte),
        }
    }
    uri::PathAndQuery::from_maybe_shared(Bytes::from(encoded)).ok()
}

/// A received response head; `upgrade` is the protocol asked for, whose success comes as 200.
pub(super) fn response_in(parts: http::response::Parts, upgrade: Option<&HeaderValue>) -> ResponseHead {
    let mut head = ResponseHead {
        status: parts.status,
        version: Version::HTTP_2,
        reason: None,
        headers: parts.headers,
        spelling: Spelling::Lower,
    };
    if let Some(protocol) = upgrade
        && head.status.is_success()
        && head.headers.remove(UPGRADE).is_none()
    {
        head.status = StatusCode::SWITCHING_PROTOCOLS;
        crate::restore_upgrade(&mut head.headers, protocol.clone());
    }
    head
}

/// The form of a response on the wire.
pub(super) fn response_out(head: ResponseHead, length: Option<u64>, extended: bool) -> Response<()> {
    let mut response = Response::new(());
    let switched = head.status == StatusCode::SWITCHING_PROTOCOLS;
    *response.status_mut() = if switched && extended {
        StatusCode::OK
    } else {
        head.status
    };
    *response.headers_mut() = head.headers;
    tidy(response.headers_mut(), length);
    if extended && !switched && head.status.is_success() {
        response.headers_mut().insert(UPGRADE, REFUSED);
    }
    response
}

/// The announced length of a body.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    let digits = headers.get(header::CONTENT_LENGTH)?.as_bytes();
    let add = |number: u64, digit: &u8| match digit {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    };
    let first = digits.first().map(|_| 0)?;
    digits.iter().try_fold(first, add)
}
