//! What moves an HTTP/2 client connection's bytes.

use super::batch::Batch;
use super::client::Shared;
use super::ping::KeepAlive;
use bytes::Bytes;
use h2::Reason;
use h2::client::Connection;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Moves a connection's bytes; to be spawned beside its handle.
pub struct Driver {
    pub(super) conn: Connection<Batch, Bytes>,
    pub(super) batch: Batch,
    pub(super) keep_alive: KeepAlive,
    pub(super) shared: std::rc::Weak<Shared>,
}

/// Why a connection ended in disorder.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The stream failed.
    #[error("connection failed")]
    Io(#[source] io::Error),
    /// The protocol was violated, by the code of RFC 9113 §7.
    #[error("http/2 connection error {0}")]
    Protocol(u32),
    /// A keep-alive PING went unanswered.
    #[error("peer does not answer")]
    Dead,
}

impl Future for Driver {
    type Output = Result<(), DriveError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.conn).poll(cx);
        let out = this.batch.poll_out(cx);
        this.tell_waiting();
        match (polled, out) {
            (Poll::Ready(result), _) => Poll::Ready(result.map_err(drive_error)),
            (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Err(DriveError::Io(error))),
            (Poll::Pending, _) => this.keep_alive.poll_dead(cx).map(|()| Err(DriveError::Dead)),
        }
    }
}

impl Driver {
    fn tell_waiting(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.heard_settings();
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.end();
        }
    }
}

pub(super) fn drive_error(error: h2::Error) -> DriveError {
    let code = error.reason().unwrap_or(Reason::INTERNAL_ERROR);
    match error.into_io() {
        Some(error) => DriveError::Io(error),
        None => DriveError::Protocol(code.into()),
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driver")
    }
}
