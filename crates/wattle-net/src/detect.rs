//! What a client speaks, told from its first bytes.
//!
//! Never a guess: an answer is given when the bytes seen so far can be nothing else, and the same
//! answer comes whatever the pieces they arrive in. A client that says too little in time is
//! [`Verdict::Opaque`], so policy for HTTP must refuse opaque bytes rather than let them pass.

mod hello;
mod line;
mod speaker;

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::buffer::Buffer;
use crate::stream::Stream;

pub use hello::{ClientHello, parse_client_hello};
pub use speaker::{Speaker, first_speaker};

/// Most bytes looked at before the answer is [`Verdict::Opaque`]: 16 KiB.
pub const LOOK_LIMIT_BYTES: usize = 16 * 1024;

/// What an HTTP/2 client sends first (RFC 9113 section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes of a client are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// More than one answer is possible still.
    NeedMore,
    /// A whole TLS ClientHello.
    Tls(ClientHello),
    /// A whole request line of HTTP/1.0 or HTTP/1.1.
    Http1,
    /// The connection preface of HTTP/2.
    Http2,
    /// None of these.
    Opaque,
}

/// Judges the bytes a client sent so far.
#[must_use]
pub fn classify(bytes: &[u8]) -> Verdict {
    let look = &bytes[..bytes.len().min(LOOK_LIMIT_BYTES)];
    let verdict = match look.first() {
        None => return Verdict::NeedMore,
        Some(&hello::HANDSHAKE_RECORD) => hello::classify(look),
        Some(_) if starts_preface(look) => classify_preface(look),
        Some(_) => line::classify(look),
    };
    if verdict == Verdict::NeedMore && look.len() == LOOK_LIMIT_BYTES {
        return Verdict::Opaque;
    }
    verdict
}

fn starts_preface(look: &[u8]) -> bool {
    let common = look.len().min(HTTP2_PREFACE.len());
    look[..common] == HTTP2_PREFACE[..common]
}

fn classify_preface(look: &[u8]) -> Verdict {
    if look.len() >= HTTP2_PREFACE.len() {
        return Verdict::Http2;
    }
    Verdict::NeedMore
}

/// What [`detect`] found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detected {
    /// The answer; never [`Verdict::NeedMore`].
    pub verdict: Verdict,
    /// Why it is [`Verdict::Opaque`] although more bytes might have told otherwise.
    pub cut_short: Option<CutShort>,
}

/// Why detection ended before the bytes told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutShort {
    /// The client said too little in time.
    TimedOut,
    /// The client closed its sending half.
    Closed,
}

/// Reads until the client's protocol is certain; all bytes read are put back in front of the stream.
///
/// # Errors
/// When the connection fails. Silence and an early end are answers, not errors.
pub async fn detect(client: &mut Stream, timeout: Duration) -> io::Result<Detected> {
    let mut seen = Vec::new();
    let looked = tokio::time::timeout(timeout, look(client, &mut seen)).await;
    if !seen.is_empty() {
        client.unread(seen.into());
    }
    let cut_short = match looked {
        Ok(Ok(Some(verdict))) => {
            return Ok(Detected {
                verdict,
                cut_short: None,
            });
        }
        Ok(Ok(None)) => CutShort::Closed,
        Ok(Err(error)) => return Err(error),
        Err(_) => CutShort::TimedOut,
    };
    Ok(Detected {
        verdict: Verdict::Opaque,
        cut_short: Some(cut_short),
    })
}

/// Reads until the verdict is certain, or gives `None` at the end of the stream.
async fn look(client: &mut Stream, seen: &mut Vec<u8>) -> io::Result<Option<Verdict>> {
    loop {
        match classify(seen) {
            Verdict::NeedMore => {}
            verdict => return Ok(Some(verdict)),
        }
        let wanted = LOOK_LIMIT_BYTES - seen.len();
        // A client may be silent for long: it must not hold a pooled buffer meanwhile.
        let count = read_some(client, wanted, seen).await?;
        if count == 0 {
            return Ok(None);
        }
    }
}

/// Appends up to `limit` bytes; the buffer is held only while bytes are being copied.
async fn read_some(client: &mut Stream, limit: usize, seen: &mut Vec<u8>) -> io::Result<usize> {
    std::future::poll_fn(|cx| {
        let mut buffer = Buffer::take();
        let end = limit.min(buffer.len());
        let read = std::pin::pin!(client.read(&mut buffer[..end]));
        match read.poll(cx) {
            std::task::Poll::Ready(Ok(count)) => {
                seen.extend_from_slice(&buffer[..count]);
                std::task::Poll::Ready(Ok(count))
            }
            other => other,
        }
    })
    .await
}

#[cfg(test)]
mod tests;
