//! Bytes on their way out: small things gathered into one buffer, one large thing beside it, one write for both.

use crate::io::{BoxIo, give_buffer, take_buffer};
use bytes::{Buf, Bytes};
use http::HeaderMap;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// Up to this size copying is cheaper than another element in a vectored write, more so under TLS.
const COPY_BYTES: usize = 8 * 1024;
/// From here on gathering stops and writing must come first.
const FULL_BYTES: usize = 16 * 1024;

/// What waits to be written, in order: `small[at..]`, `large`, `tail`.
#[derive(Default)]
pub(crate) struct Outgoing {
    small: Vec<u8>,
    at: usize,
    large: Bytes,
    tail: &'static [u8],
    /// Bytes the stream took, ever.
    pub(crate) written: u64,
}

/// How a body is put on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoder {
    /// None is expected, and data is dropped: answers to HEAD, 204, 304.
    Omit,
    /// So many bytes are still announced.
    Length(u64),
    Chunked,
    /// As it is, until the stream's end.
    Raw,
}

/// More or less data than announced.
#[derive(Debug)]
pub(crate) struct LengthMismatch;

impl Outgoing {
    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.small.len() && self.large.is_empty() && self.tail.is_empty()
    }

    /// Whether nothing more should be added before a write.
    pub(crate) fn is_full(&self) -> bool {
        !self.large.is_empty() || self.small.len() - self.at >= FULL_BYTES
    }

    /// The buffer to write heads into; only while no large piece waits.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.small.capacity() == 0 {
            self.small = take_buffer();
        }
        if !self.large.is_empty() || !self.tail.is_empty() {
            self.fold();
        }
        &mut self.small
    }

    /// Restores the order when something must follow a large piece that is not yet written; rare.
    fn fold(&mut self) {
        self.small.extend_from_slice(&std::mem::take(&mut self.large));
        self.small.extend_from_slice(std::mem::take(&mut self.tail));
    }

    /// Adds body data in the given coding.
    pub(crate) fn data(&mut self, encoder: &mut Encoder, data: Bytes) -> Result<(), LengthMismatch> {
        if data.is_empty() {
            return Ok(());
        }
        match encoder {
            Encoder::Omit => {}
            Encoder::Raw => self.piece(data, b""),
            Encoder::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(LengthMismatch)?;
                self.piece(data, b"");
            }
            Encoder::Chunked => {
                write_hex(self.buffer(), data.len());
                self.piece(data, b"\r\n");
            }
        }
        Ok(())
    }

    /// Ends the body, with trailers where the coding has room for them.
    pub(crate) fn end(
        &mut self,
        encoder: Encoder,
        trailers: Option<&HeaderMap>,
    ) -> Result<(), LengthMismatch> {
        match (encoder, trailers) {
            (Encoder::Length(left), _) if left > 0 => return Err(LengthMismatch),
            (Encoder::Chunked, None) => self.buffer().extend_from_slice(b"0\r\n\r\n"),
            (Encoder::Chunked, Some(trailers)) => {
                let out = self.buffer();
                out.extend_from_slice(b"0\r\n");
                for (name, value) in trailers {
                    out.extend_from_slice(name.as_str().as_bytes());
                    out.extend_from_slice(b": ");
                    out.extend_from_slice(value.as_bytes());
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(b"\r\n");
            }
            _ => {}
        }
        Ok(())
    }

    fn piece(&mut self, data: Bytes, tail: &'static [u8]) {
        if data.len() <= COPY_BYTES {
            let out = self.buffer();
            out.extend_from_slice(&data);
            out.extend_from_slice(tail);
            return;
        }
        self.buffer();
        self.large = data;
        self.tail = tail;
    }

    /// Writes and flushes all of it; gives the buffer back when done.
    pub(crate) fn poll_flush(&mut self, io: &mut BoxIo, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.is_empty() {
            let written = if self.large.is_empty() && self.tail.is_empty() {
                ready!(Pin::new(&mut *io).poll_write(cx, &self.small[self.at..]))?
            } else {
                let slices = [
                    IoSlice::new(&self.small[self.at..]),
                    IoSlice::new(&self.large),
                    IoSlice::new(self.tail),
                ];
                let first = slices.iter().position(|slice| !slice.is_empty()).unwrap_or(0);
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices[first..]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        give_buffer(std::mem::take(&mut self.small));
        self.at = 0;
        Pin::new(io).poll_flush(cx)
    }

    fn advance(&mut self, mut written: usize) {
        self.written += written as u64;
        let small = written.min(self.small.len() - self.at);
        self.at += small;
        written -= small;
        let large = written.min(self.large.len());
        self.large.advance(large);
        written -= large;
        self.tail = self.tail.get(written..).unwrap_or_default();
    }
}

fn write_hex(out: &mut Vec<u8>, number: usize) {
    let digits = (usize::BITS - number.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[number >> (place * 4) & 0xf]);
    }
    out.extend_from_slice(b"\r\n");
}
