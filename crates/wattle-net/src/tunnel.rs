//! A connection through an HTTP proxy: `CONNECT` (RFC 9110 §9.3.6), then the bytes are the far side's.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::stream::Stream;

/// Longest answer of the proxy that is read, in bytes.
const MAX_HEAD: usize = 8 * 1024;

/// Why no tunnel came about; nothing was said to the far side.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The proxy did not answer in time.
    #[error("tunnel to {target}: no answer within {timeout:?}")]
    TimedOut {
        /// What was asked for, `host:port`.
        target: String,
        /// How long was waited.
        timeout: Duration,
    },
    /// The connection to the proxy failed.
    #[error("tunnel to {target}: connection to the proxy failed")]
    Io {
        /// What was asked for.
        target: String,
        /// The kernel's error.
        source: io::Error,
    },
    /// The proxy refused.
    #[error("tunnel to {target}: the proxy answered {status}")]
    Refused {
        /// What was asked for.
        target: String,
        /// Its HTTP status.
        status: u16,
    },
    /// The proxy's answer is no head of an HTTP/1 response, or is longer than 8 KiB.
    #[error("tunnel to {target}: the proxy's answer is not HTTP")]
    NotHttp {
        /// What was asked for.
        target: String,
    },
}

impl TunnelError {
    /// A stable name for logs and metrics.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::TimedOut { .. } => "tunnel_timed_out",
            Self::Io { .. } => "tunnel_connection_failed",
            Self::Refused { .. } => "tunnel_refused",
            Self::NotHttp { .. } => "tunnel_not_http",
        }
    }
}

/// Asks the proxy at the other end of `stream` for a connection to `target` (`host:port`).
///
/// # Errors
/// [`TunnelError`]; the connection is gone.
pub async fn through(mut stream: Stream, target: &str, timeout: Duration) -> Result<Stream, TunnelError> {
    match tokio::time::timeout(timeout, ask(&mut stream, target)).await {
        Ok(Ok(())) => Ok(stream),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(TunnelError::TimedOut {
            target: target.to_owned(),
            timeout,
        }),
    }
}

async fn ask(stream: &mut Stream, target: &str) -> Result<(), TunnelError> {
    let failed = |source| TunnelError::Io {
        target: target.to_owned(),
        source,
    };
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let not_http = || TunnelError::NotHttp {
        target: target.to_owned(),
    };
    let mut answer = Vec::with_capacity(256);
    let end = loop {
        if let Some(at) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if answer.len() >= MAX_HEAD || stream.read_buf(&mut answer).await.map_err(failed)? == 0 {
            return Err(not_http());
        }
    };
    let status = status(&answer).ok_or_else(not_http)?;
    if !(200..300).contains(&status) {
        return Err(TunnelError::Refused {
            target: target.to_owned(),
            status,
        });
    }
    // A server that speaks first may have spoken already.
    if answer.len() > end {
        stream.unread(Bytes::copy_from_slice(&answer[end..]));
    }
    Ok(())
}

/// The status of an HTTP/1 response's first line.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.strip_prefix(b"HTTP/1.")?;
    let digits = line.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What the proxy was sent, and what came of its answer.
    async fn with_answer(answer: &str) -> (String, Result<Stream, TunnelError>) {
        let (near, mut far) = tokio::io::duplex(4096);
        let asked = through(near.into(), "db.example:5432", Duration::from_secs(1));
        let serve = async {
            let mut head = vec![0; 256];
            let count = far.read(&mut head).await.unwrap();
            far.write_all(answer.as_bytes()).await.unwrap();
            far.shutdown().await.unwrap();
            String::from_utf8_lossy(&head[..count]).into_owned()
        };
        let (outcome, sent) = tokio::join!(asked, serve);
        (sent, outcome)
    }

    #[tokio::test]
    async fn what_follows_the_proxys_yes_is_the_far_sides() {
        let (sent, opened) = with_answer("HTTP/1.1 200 OK\r\nVia: p\r\n\r\nhello").await;
        assert_eq!(
            sent,
            "CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432\r\n\r\n"
        );
        let mut word = String::new();
        opened.ok().unwrap().read_to_string(&mut word).await.unwrap();
        assert_eq!(word, "hello");
    }

    #[tokio::test]
    async fn a_proxy_that_refuses_or_babbles_gives_no_tunnel() {
        let table = [
            ("HTTP/1.1 403 Forbidden\r\n\r\n", "tunnel_refused"),
            ("HTTP/1.1 2xx Odd\r\n\r\n", "tunnel_not_http"),
            ("SSH-2.0-x\r\n\r\n", "tunnel_not_http"),
            ("HTTP/1.1 200 OK\r\n", "tunnel_not_http"),
        ];
        for (answer, wanted) in table {
            assert_eq!(
                with_answer(answer).await.1.err().unwrap().id(),
                wanted,
                "{answer}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_proxy_is_given_up() {
        let (near, _far) = tokio::io::duplex(4096);
        let error = through(near.into(), "a:1", Duration::from_secs(1))
            .await
            .err()
            .unwrap();
        assert_eq!(error.id(), "tunnel_timed_out");
    }
}
