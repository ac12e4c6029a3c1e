//! Gathers what the engine writes and lets it go in one write per turn of the connection's task.
//!
//! The engine flushes after every DATA frame. Here a flush means nothing until the driver, having polled the engine
//! and all streams, calls [`Batch::poll_out`].

use super::conduct::Conduct;
use crate::io::BoxIo;
use bytes::{Buf, Bytes};
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Gathered beyond this, bytes are written before more is taken.
const FULL_BYTES: usize = 64 * 1024;

/// The stream as the engine sees it, and as the driver does.
#[derive(Clone)]
pub(super) struct Batch(Rc<RefCell<Inner>>);

struct Inner {
    io: BoxIo,
    prefix: Bytes,
    out: Vec<u8>,
    at: usize,
    unflushed: bool,
    /// Of a peer that is not trusted to behave.
    conduct: Option<Conduct>,
}

impl Batch {
    pub(super) fn new(io: BoxIo, prefix: Bytes, conduct: Option<Conduct>) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            io,
            prefix,
            out: Vec::new(),
            at: 0,
            unflushed: false,
            conduct,
        })))
    }

    /// Whether the peer has sent more for nothing than is borne. Nothing more is read of it then.
    pub(super) fn is_flooded(&self) -> bool {
        self.0.borrow().is_flooded()
    }

    /// Writes and flushes all that was gathered.
    pub(super) fn poll_out(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_out(cx)
    }
}

impl Inner {
    fn is_flooded(&self) -> bool {
        self.conduct.as_ref().is_some_and(Conduct::is_spent)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let taken = self.prefix.len().min(buf.remaining());
        buf.put_slice(&self.prefix[..taken]);
        self.prefix.advance(taken);
        Poll::Ready(Ok(()))
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.at < self.out.len() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.out[self.at..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.at += written;
            self.unflushed = true;
        }
        if self.out.capacity() > 0 {
            crate::io::give_buffer(std::mem::take(&mut self.out));
            self.at = 0;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Makes room; pending when there is none and the stream takes nothing.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.out.len() - self.at >= FULL_BYTES {
            ready!(self.poll_out(cx))?;
        }
        if self.out.capacity() == 0 {
            self.out = crate::io::take_buffer();
        }
        Poll::Ready(Ok(FULL_BYTES - (self.out.len() - self.at)))
    }

    fn gather(&mut self, data: &[u8]) {
        self.out.extend_from_slice(data);
        if let Some(conduct) = &mut self.conduct {
            conduct.sent(data);
        }
    }
}

impl AsyncRead for Batch {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        if inner.is_flooded() {
            // The driver looks after each turn of the engine, which this ends.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(inner.poll_read(cx, buf))?;
        if let Some(conduct) = &mut inner.conduct {
            conduct.received(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Batch {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.0.borrow_mut();
        let room = ready!(inner.poll_room(cx))?;
        let taken = data.len().min(room);
        inner.gather(&data[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.0.borrow_mut();
        let room = ready!(inner.poll_room(cx))?;
        let mut taken = 0;
        for slice in slices {
            let part = slice.len().min(room - taken);
            inner.gather(&slice[..part]);
            taken += part;
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        ready!(inner.poll_out(cx))?;
        Pin::new(&mut inner.io).poll_shutdown(cx)
    }
}
