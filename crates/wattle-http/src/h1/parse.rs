//! Heads from bytes. Strict: what two readers could understand differently is refused.

use super::fields::{collect, field_room};
use super::framing::{Facts, Framing};
use super::target;
use crate::{ByteStr, Limits, ParseError, RequestHead, ResponseHead};
use bytes::{Buf, Bytes};
use http::header::UPGRADE;
use http::{Method, StatusCode, Version};
use httparse::Status;

/// A request head with what the connection needs to know of it.
pub(crate) struct ParsedRequest {
    pub(crate) head: RequestHead,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    pub(crate) expect_continue: bool,
}

/// A response head with what the connection needs to know of it.
pub(crate) struct ParsedResponse {
    pub(crate) head: ResponseHead,
    pub(crate) facts: Facts,
    pub(crate) keep_alive: bool,
}

/// Parses a request head off the front of `input`; `None` when it is not all there yet, and then `input` is unchanged.
pub(crate) fn parse_request(input: &mut Bytes, limits: &Limits) -> Result<Option<ParsedRequest>, ParseError> {
    skip_empty_lines(input);
    if is_undecided(input)? {
        return Ok(None);
    }
    let mut room = field_room();
    let mut request = httparse::Request::new(&mut []);
    let end = match request.parse_with_uninit_headers(input, &mut room) {
        Ok(Status::Complete(end)) => end,
        Ok(Status::Partial) => return partial(input, limits).map(|()| None),
        Err(error) => return Err(refused(error)),
    };
    let path = request.path.unwrap_or_default().as_bytes();
    // First, as where the head is not all there yet: the answer must not depend on how the bytes were cut.
    if path.len() > limits.max_target_bytes {
        return Err(ParseError::TargetTooLong);
    }
    if end > limits.max_head_bytes {
        return Err(ParseError::HeadTooLarge);
    }
    let head = input.slice(..end);
    let version = version(request.version)?;
    let method = Method::from_bytes(request.method.unwrap_or_default().as_bytes())
        .map_err(|_| ParseError::StartLine)?;
    if !target::is_plain(&method) {
        return Err(ParseError::StartLine);
    }
    let target = target::parse(&method, head.slice_ref(path))?;
    let mut fields = collect(&head, request.headers, limits)?;
    let framing = fields.facts.request_framing(version, &method)?;
    if fields.facts.upgrade && framing != Framing::Tunnel {
        // With a body, or in 1.0, the upgrade is ignored (RFC 9110 §7.8); nobody further on may think otherwise.
        fields.headers.remove(UPGRADE);
    }
    let authority = authority(target.authority, fields.host, version)?;
    *input = input.slice(end..);
    Ok(Some(ParsedRequest {
        framing,
        keep_alive: fields.facts.keeps_alive(version),
        expect_continue: fields.facts.expect_continue && version == Version::HTTP_11,
        head: RequestHead {
            method,
            scheme: target.scheme,
            authority,
            path_and_query: target.path_and_query,
            version,
            headers: fields.headers,
            spelling: fields.spelling,
        },
    }))
}

/// Parses a response head off the front of `input`; `None` when it is not all there yet, and then `input` is unchanged.
pub(crate) fn parse_response(
    input: &mut Bytes,
    limits: &Limits,
) -> Result<Option<ParsedResponse>, ParseError> {
    let mut room = field_room();
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let end = match config.parse_response_with_uninit_headers(&mut response, input, &mut room) {
        Ok(Status::Complete(end)) => end,
        Ok(Status::Partial) => return partial(input, limits).map(|()| None),
        Err(error) => return Err(refused(error)),
    };
    if end > limits.max_head_bytes {
        return Err(ParseError::HeadTooLarge);
    }
    let head = input.slice(..end);
    let version = version(response.version)?;
    let status =
        StatusCode::from_u16(response.code.unwrap_or_default()).map_err(|_| ParseError::StartLine)?;
    let phrase = response.reason.unwrap_or_default().as_bytes();
    let customary = status
        .canonical_reason()
        .is_some_and(|reason| reason.as_bytes() == phrase);
    let reason = (!customary).then(|| head.slice_ref(phrase));
    let fields = collect(&head, response.headers, limits)?;
    *input = input.slice(end..);
    let mut headers = fields.headers;
    if let Some(host) = fields
        .host
        .and_then(|host| http::HeaderValue::from_maybe_shared(host).ok())
    {
        // Odd in a response, but not ours to drop.
        headers.append(http::header::HOST, host);
    }
    Ok(Some(ParsedResponse {
        keep_alive: fields.facts.keeps_alive(version),
        facts: fields.facts,
        head: ResponseHead {
            status,
            version,
            reason,
            headers,
            spelling: fields.spelling,
        },
    }))
}

/// Empty lines before a request line are ignored (RFC 9112 §2.2); their bytes, so that the caller can bound them.
pub(crate) fn skip_empty_lines(input: &mut Bytes) -> usize {
    let lines = input.chunks_exact(2).take_while(|pair| *pair == b"\r\n").count();
    input.advance(lines * 2);
    lines * 2
}

/// Whether it cannot be told yet that a request begins here.
fn is_undecided(input: &[u8]) -> Result<bool, ParseError> {
    match input.first() {
        Some(b'\n') => Err(ParseError::BareLineFeed),
        Some(b'\r') if input.len() > 1 => Err(ParseError::StartLine),
        Some(b'\r') | None => Ok(true),
        Some(_) => Ok(false),
    }
}

fn partial(input: &[u8], limits: &Limits) -> Result<(), ParseError> {
    let line = input.iter().position(|byte| *byte == b'\n');
    match line {
        None if input.len() > limits.max_target_bytes.saturating_add(64) => Err(ParseError::TargetTooLong),
        _ if input.len() > limits.max_head_bytes => Err(ParseError::HeadTooLarge),
        _ => Ok(()),
    }
}

fn refused(error: httparse::Error) -> ParseError {
    match error {
        httparse::Error::HeaderName => ParseError::HeaderName,
        httparse::Error::HeaderValue => ParseError::HeaderValue,
        httparse::Error::TooManyHeaders => ParseError::TooManyHeaders,
        httparse::Error::Version => ParseError::Version,
        httparse::Error::NewLine => ParseError::StartLine,
        httparse::Error::Token => ParseError::StartLine,
        httparse::Error::Status => ParseError::StartLine,
    }
}

fn version(minor: Option<u8>) -> Result<Version, ParseError> {
    match minor {
        Some(0) => Ok(Version::HTTP_10),
        Some(1) => Ok(Version::HTTP_11),
        _ => Err(ParseError::Version),
    }
}

fn authority(target: Option<ByteStr>, host: Option<Bytes>, version: Version) -> Result<ByteStr, ParseError> {
    let host = host.map(target::host).transpose()?;
    match (target, host) {
        (_, None) if version == Version::HTTP_11 => Err(ParseError::HostMissing),
        (Some(target), _) => Ok(target),
        (None, host) => Ok(host.unwrap_or_default()),
    }
}
