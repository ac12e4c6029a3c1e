//! Plain bytes over TLS records, with the thread's buffers.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::CommonState;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::session::{self, Outgoing, Session, Step, Want};
use super::tie::{Tie, Tied};
use crate::buffer::{Buffer, CHUNK_BYTES, Pending};
use crate::stream::Stream;

/// Room for a whole record behind a partial one (RFC 8446 section 5.2: 16 KiB + 256 + 5).
const RECORD_BYTES: usize = 16 * 1024 + 256 + 5;

/// TLS over a stream; one type for both sides, told apart by the session.
pub struct TlsStream<S> {
    io: Stream,
    session: S,
    /// Encrypted bytes not processed yet.
    incoming: Pending,
    /// The same while nothing more can be read now: exactly as large as they are.
    parked: Vec<u8>,
    /// Decrypted bytes that did not fit the reader's buffer, from `plain_read` on.
    plain: Vec<u8>,
    plain_read: usize,
    outgoing: Outgoing,
    ended: Ended,
    /// Why the session failed: nothing more is trusted, and every read says so again.
    failure: Option<rustls::Error>,
    tie: Tied,
}

#[derive(Clone, Copy, Default)]
struct Ended {
    /// The peer's close_notify came: no more to read.
    receiving: bool,
    /// Our close_notify is queued: no more to write.
    sending: bool,
}

impl<S: Session> TlsStream<S> {
    pub(super) fn new(io: Stream, session: S) -> Self {
        Self {
            io,
            session,
            incoming: Pending::default(),
            parked: Vec::new(),
            plain: Vec::new(),
            plain_read: 0,
            outgoing: Outgoing::default(),
            ended: Ended::default(),
            failure: None,
            tie: Tied::default(),
        }
    }

    pub(crate) fn tie(&mut self, tie: Tie) {
        self.tie = tie.into();
    }

    /// What is below TLS.
    #[must_use]
    pub fn inner(&self) -> &Stream {
        &self.io
    }

    /// What the session has agreed on so far.
    #[must_use]
    pub fn state(&self) -> &CommonState {
        &self.session
    }

    pub(super) fn received(&self) -> &[u8] {
        self.incoming.bytes()
    }

    /// Processes what came in and sends what is asked for; plain bytes wait in `plain`.
    pub(super) fn step(&mut self, send: Want<'_>) -> io::Result<Step> {
        let plain = &mut self.plain;
        let mut keep = |bytes: &[u8]| plain.extend_from_slice(bytes);
        let result = session::step(
            &mut self.session,
            &mut self.incoming,
            &mut self.outgoing,
            &mut keep,
            send,
        );
        self.judge(result)
    }

    fn judge(&mut self, result: Result<Step, rustls::Error>) -> io::Result<Step> {
        match result {
            Ok(step) => {
                self.ended.receiving |= matches!(step, Step::PeerClosed | Step::Closed);
                Ok(step)
            }
            Err(error) => {
                session::collect_alert(&mut self.session, &mut self.incoming, &mut self.outgoing);
                self.incoming = Pending::default();
                self.failure = Some(error.clone());
                Err(io::Error::new(io::ErrorKind::InvalidData, error))
            }
        }
    }

    /// Reads encrypted bytes from below; 0 means the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.unpark();
        let room = self.incoming.room(RECORD_BYTES);
        if room.is_empty() {
            // rustls refuses longer messages before this.
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let mut into = ReadBuf::new(room);
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut into);
        let count = into.filled().len();
        self.incoming.fill(count);
        if polled.is_pending() {
            self.park();
            self.tie.wait(cx);
        }
        polled.map_ok(|()| count)
    }

    fn unpark(&mut self) {
        if self.parked.is_empty() {
            return;
        }
        let parked = std::mem::take(&mut self.parked);
        // Parking emptied the pooled buffer, so this is a whole one.
        self.incoming.room(0)[..parked.len()].copy_from_slice(&parked);
        self.incoming.fill(parked.len());
    }

    /// Gives the pooled buffer back while waiting for the rest of a record.
    fn park(&mut self) {
        if !self.incoming.is_empty() {
            self.parked = self.incoming.bytes().to_vec();
            let count = self.parked.len();
            self.incoming.consume(count);
        }
        self.incoming.release_if_empty();
    }

    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let polled = Pin::new(&mut self.io).poll_write(cx, self.outgoing.bytes());
            if polled.is_pending() {
                self.tie.wait(cx);
            }
            let count = ready!(polled)?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.consume(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends on what is queued without waiting for a socket that is full.
    pub(super) fn send_now(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.poll_send(cx) {
            Poll::Ready(Err(error)) => Err(error),
            _ => Ok(()),
        }
    }

    fn take_plain(&mut self, into: &mut ReadBuf<'_>) {
        let rest = &self.plain[self.plain_read..];
        let count = rest.len().min(into.remaining());
        into.put_slice(&rest[..count]);
        self.plain_read += count;
        if self.plain_read == self.plain.len() {
            self.plain = Vec::new();
            self.plain_read = 0;
        }
    }

    /// Decrypts records that are already here straight into the reader's buffer until it is full.
    fn decrypt(&mut self, into: &mut ReadBuf<'_>) -> io::Result<()> {
        if let Some(error) = &self.failure {
            return Err(io::Error::new(io::ErrorKind::InvalidData, error.clone()));
        }
        if !self.parked.is_empty() {
            // Nothing came since these bytes were found to be too few.
            return Ok(());
        }
        while into.remaining() > 0 && self.plain.is_empty() && !self.ended.receiving {
            let plain = &mut self.plain;
            let mut place = |bytes: &[u8]| {
                let (now, later) = bytes.split_at(bytes.len().min(into.remaining()));
                into.put_slice(now);
                plain.extend_from_slice(later);
            };
            let result = session::step(
                &mut self.session,
                &mut self.incoming,
                &mut self.outgoing,
                &mut place,
                Want::Nothing,
            );
            match self.judge(result)? {
                Step::Progress => {}
                Step::Ready | Step::Blocked | Step::PeerClosed | Step::Closed => break,
            }
        }
        Ok(())
    }

    /// Brings the session to where it may send, then queues what is asked for.
    fn queue(&mut self, send: impl Fn() -> Want<'static>) -> io::Result<()> {
        self.queue_with(|tls| tls.step(send()))
    }

    fn queue_with(&mut self, mut step: impl FnMut(&mut Self) -> io::Result<Step>) -> io::Result<()> {
        self.unpark();
        loop {
            match step(self)? {
                Step::Ready => return Ok(()),
                // Records in front of us are decrypted into `plain`, at most a buffer of them.
                Step::Progress | Step::PeerClosed => {}
                Step::Blocked | Step::Closed => return Err(io::ErrorKind::NotConnected.into()),
            }
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.tie.check()?;
        if self.failure.is_some() || self.ended.sending {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(self.poll_send(cx))?;
        let chunk = &bytes[..bytes.len().min(CHUNK_BYTES)];
        if !chunk.is_empty() {
            self.queue_with(|tls| tls.step(Want::Plain(chunk)))?;
            self.send_now(cx)?;
        }
        Poll::Ready(Ok(chunk.len()))
    }
}

impl<S: Session> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let tls = &mut *self;
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        tls.tie.check()?;
        let before = into.filled().len();
        loop {
            tls.take_plain(into);
            let decrypted = tls.decrypt(into);
            // Answers such as a key update leave with the reads that asked for them. A peer that
            // takes no more may still have sent the alert that says why: read on.
            if tls.send_now(cx).is_err() {
                tls.outgoing = Outgoing::default();
                tls.ended.sending = true;
            }
            if into.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            decrypted?;
            if tls.ended.receiving {
                return Poll::Ready(Ok(()));
            }
            if ready!(tls.poll_fill(cx))? == 0 {
                // Without close_notify the bytes may have been cut short by anyone.
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

impl<S: Session> AsyncWrite for TlsStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, bytes)
    }

    /// Puts small pieces into common records: a header and its body are sent as one.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut filled = slices.iter().filter(|slice| !slice.is_empty());
        let (Some(first), second) = (filled.next(), filled.next()) else {
            return Poll::Ready(Ok(0));
        };
        if second.is_none() || first.len() >= CHUNK_BYTES {
            return self.write(cx, first);
        }
        let mut gathered = Buffer::take();
        let mut count = 0;
        for slice in slices {
            let part = &slice[..slice.len().min(CHUNK_BYTES - count)];
            gathered[count..count + part.len()].copy_from_slice(part);
            count += part.len();
        }
        self.write(cx, &gathered[..count])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tie.check()?;
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // An end in order would pass for all there was.
        self.tie.check()?;
        if !self.ended.sending && self.failure.is_none() {
            self.ended.sending = true;
            self.queue(|| Want::CloseNotify)?;
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
