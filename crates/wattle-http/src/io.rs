//! The byte stream below, and the per-thread scratch that lets idle connections own no buffer.

use bytes::{Bytes, BytesMut};
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// Any byte stream: TCP, TLS, a Unix socket, a pipe in a test.
pub trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// The stream once inside: one indirect call per read or write, which is nothing beside the system call.
pub(crate) type BoxIo = Box<dyn Io>;

const SCRATCH_BYTES: usize = 64 * 1024;
/// From this size on a read is likely one of a bulk transfer, and reading into its own buffer saves the copy.
pub(crate) const BULK_BYTES: usize = 16 * 1024;

thread_local! {
    static SCRATCH: RefCell<Option<Box<[u8]>>> = const { RefCell::new(None) };
    static WRITE_BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Reads once into the thread's scratch and copies out exactly what came; an empty result is end of stream.
pub(crate) fn poll_read_small(io: &mut BoxIo, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
    // Taken out of the cell: a stream nested in another one (a tunnel) may come here again during the read.
    let mut scratch = SCRATCH
        .with(|cell| cell.borrow_mut().take())
        .unwrap_or_else(|| vec![0; SCRATCH_BYTES].into_boxed_slice());
    let mut buf = ReadBuf::new(&mut scratch);
    let polled = Pin::new(io).poll_read(cx, &mut buf);
    let result = polled.map(|read| read.map(|()| Bytes::copy_from_slice(buf.filled())));
    SCRATCH.with(|cell| *cell.borrow_mut() = Some(scratch));
    result
}

/// Reads once into a buffer of its own, for bulk bodies.
pub(crate) fn poll_read_bulk(io: &mut BoxIo, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
    let mut buf = BytesMut::with_capacity(SCRATCH_BYTES);
    // `read_buf` keeps no state between polls, so making it anew each time loses nothing.
    let n = ready!(pin!(io.read_buf(&mut buf)).poll(cx))?;
    if n < BULK_BYTES {
        return Poll::Ready(Ok(Bytes::copy_from_slice(&buf)));
    }
    Poll::Ready(Ok(buf.freeze()))
}

/// At most this many idle write buffers are kept per thread.
const KEPT_BUFFERS: usize = 32;
/// A write buffer that grew beyond this is freed, not kept.
const KEPT_BYTES: usize = 64 * 1024;

/// A write buffer from the thread's stock.
pub(crate) fn take_buffer() -> Vec<u8> {
    WRITE_BUFFERS
        .with(|kept| kept.borrow_mut().pop())
        .unwrap_or_else(|| Vec::with_capacity(4 * 1024))
}

/// Gives a write buffer back.
pub(crate) fn give_buffer(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > KEPT_BYTES {
        return;
    }
    buffer.clear();
    // A buffer dropped while the thread ends has no stock to go back to.
    let _ = WRITE_BUFFERS.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT_BUFFERS {
            kept.push(buffer);
        }
    });
}
