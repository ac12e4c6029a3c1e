//! A stream with what was read ahead and what waits to be written; both empty while idle.

use super::outgoing::Outgoing;
use crate::io::{BULK_BYTES, BoxIo, poll_read_bulk, poll_read_small};
use bytes::{Bytes, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

pub(crate) struct Transport {
    io: BoxIo,
    /// Read but not used yet.
    pub(crate) read: Bytes,
    pub(crate) out: Outgoing,
    pub(crate) eof: bool,
    /// The last read was large: the next one probably is too.
    bulk: bool,
    /// The last flush left something in the layers below (TLS).
    unflushed: bool,
}

impl Transport {
    pub(crate) fn new(io: BoxIo, read: Bytes) -> Self {
        Self {
            io,
            read,
            out: Outgoing::default(),
            eof: false,
            bulk: false,
            unflushed: false,
        }
    }

    /// Reads once and adds it to `read`; false at the end of the stream.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.eof {
            return Poll::Ready(Ok(false));
        }
        let data = ready!(self.poll_read(cx))?;
        if data.is_empty() {
            self.eof = true;
            return Poll::Ready(Ok(false));
        }
        if self.read.is_empty() {
            self.read = data;
        } else {
            let mut joined = match std::mem::take(&mut self.read).try_into_mut() {
                Ok(unique) => unique,
                Err(shared) => BytesMut::from(&shared[..]),
            };
            joined.extend_from_slice(&data);
            self.read = joined.freeze();
        }
        Poll::Ready(Ok(true))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let data = if self.bulk {
            ready!(poll_read_bulk(&mut self.io, cx))
        } else {
            ready!(poll_read_small(&mut self.io, cx))
        }?;
        self.bulk = data.len() >= BULK_BYTES;
        Poll::Ready(Ok(data))
    }

    /// Writes all that waits.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.out.is_empty() && !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        self.unflushed = true;
        if self.out.is_empty() {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        } else {
            ready!(self.out.poll_flush(&mut self.io, cx))?;
        }
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// Ends our direction, after a flush.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
