//! Which side of a connection speaks first, where nothing declares it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

use super::LOOK_LIMIT_BYTES;
use crate::buffer::Buffer;
use crate::stream::Stream;

/// Who spoke first on a connection whose protocol is not declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The client: its first bytes tell the protocol.
    Client,
    /// The server, as with SMTP or MySQL: the protocol is opaque.
    Server,
    /// The client closed its sending half without a word.
    ClientClosed,
    /// The server closed its sending half, or reset the connection, without a word.
    ServerClosed,
}

/// Waits for the first bytes of either side, without any fixed delay; they are put back in front of
/// their stream. When both have spoken, the client counts. The caller bounds the wait.
///
/// # Errors
/// When the client's connection fails before a word was said.
pub async fn first_speaker(client: &mut Stream, server: &mut Stream) -> io::Result<Speaker> {
    std::future::poll_fn(|cx| {
        if let Poll::Ready(spoke) = poll_spoke(client, cx)? {
            return Poll::Ready(Ok(if spoke {
                Speaker::Client
            } else {
                Speaker::ClientClosed
            }));
        }
        if let Poll::Ready(spoke) = poll_spoke(server, cx) {
            // A reset is as good as an end: it is how a proxy refuses a connection.
            return Poll::Ready(Ok(match spoke {
                Ok(true) => Speaker::Server,
                Ok(false) | Err(_) => Speaker::ServerClosed,
            }));
        }
        Poll::Pending
    })
    .await
}

/// Ready with whether bytes came; they are put back.
fn poll_spoke(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
    if !stream.peeked().is_empty() {
        return Poll::Ready(Ok(true));
    }
    let mut buffer = Buffer::take();
    let mut into = ReadBuf::new(&mut buffer[..LOOK_LIMIT_BYTES]);
    std::task::ready!(Pin::new(&mut *stream).poll_read(cx, &mut into))?;
    let bytes = into.filled();
    if bytes.is_empty() {
        return Poll::Ready(Ok(false));
    }
    stream.unread(Bytes::copy_from_slice(bytes));
    Poll::Ready(Ok(true))
}
