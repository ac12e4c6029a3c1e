//! Heads to bytes: every name in the case and at the place where it came.

mod fields;

use self::fields::{Own, OwnFraming, fields};
use super::outgoing::Encoder;
use super::target::{is_host, is_writable};
use crate::{RequestHead, ResponseHead};
use http::{Method, Version, header};

/// A head that has no HTTP/1 form: bytes in target or host that would break the line.
#[derive(Debug)]
pub(crate) struct Unrepresentable;

/// Writes a request head. `HTTP/1.0` only where there is no authority to write a `Host` from and none was sent.
pub(crate) fn request(
    out: &mut Vec<u8>,
    head: &RequestHead,
    encoder: Encoder,
) -> Result<(), Unrepresentable> {
    let connect = head.method == Method::CONNECT;
    let target = if connect {
        &head.authority
    } else {
        &head.path_and_query
    };
    if !is_writable(target.as_bytes()) || !is_host(head.authority.as_bytes()) {
        return Err(Unrepresentable);
    }
    let old = head.version == Version::HTTP_10 && head.authority.is_empty();
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(if old { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });
    let expects_body = matches!(head.method, Method::POST | Method::PUT | Method::PATCH);
    let framing = match encoder {
        Encoder::Chunked => OwnFraming::Chunked,
        Encoder::Length(0) if !expects_body && !head.headers.contains_key(header::CONTENT_LENGTH) => {
            OwnFraming::Bare
        }
        Encoder::Length(length) => OwnFraming::Length(length),
        Encoder::Omit | Encoder::Raw => OwnFraming::AsGiven,
    };
    let own = Own {
        host: (!old).then_some(head.authority.as_bytes()),
        framing,
        connection: None,
    };
    fields(out, &head.headers, &head.spelling, own);
    Ok(())
}

/// Whether a response ends or keeps the connection, where that has to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// Nothing to say.
    Customary,
    KeepAlive,
    Close,
}

/// Writes a response head.
pub(crate) fn response(out: &mut Vec<u8>, head: &ResponseHead, encoder: Encoder, persistence: Persistence) {
    status_line(out, head);
    let framing = match encoder {
        Encoder::Omit => OwnFraming::AsGiven,
        Encoder::Length(length) => OwnFraming::Length(length),
        Encoder::Chunked => OwnFraming::Chunked,
        Encoder::Raw => OwnFraming::Bare,
    };
    let connection: Option<&[u8]> = match persistence {
        Persistence::Customary => None,
        Persistence::KeepAlive => Some(b"keep-alive"),
        Persistence::Close => Some(b"close"),
    };
    fields(
        out,
        &head.headers,
        &head.spelling,
        Own {
            host: None,
            framing,
            connection,
        },
    );
}

/// Writes an interim response.
pub(crate) fn informational(out: &mut Vec<u8>, head: &ResponseHead) {
    status_line(out, head);
    fields(
        out,
        &head.headers,
        &head.spelling,
        Own {
            host: None,
            framing: OwnFraming::Bare,
            connection: None,
        },
    );
}

fn status_line(out: &mut Vec<u8>, head: &ResponseHead) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.status.as_str().as_bytes());
    out.push(b' ');
    let given = head.reason.as_deref();
    let safe = given.filter(|reason| {
        reason
            .iter()
            .all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f))
    });
    out.extend_from_slice(
        safe.unwrap_or_else(|| head.status.canonical_reason().unwrap_or_default().as_bytes()),
    );
    out.extend_from_slice(b"\r\n");
}
