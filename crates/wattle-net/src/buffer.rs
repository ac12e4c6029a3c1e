//! Large buffers shared by the connections of one thread.
//!
//! A connection borrows a buffer while it has bytes under way and gives it back as soon as it has
//! none, so that memory follows traffic and not the number of connections.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Bytes of plaintext moved by one read or write.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;

/// Size of one buffer: a chunk as TLS records with their overhead, or the largest handshake
/// message rustls accepts (64 KiB) with its record headers.
pub(crate) const BUFFER_BYTES: usize = 72 * 1024;

/// Spare buffers one thread keeps; what is given back beyond them is freed.
const SPARE_BUFFERS: usize = 16;

thread_local! {
    static SPARE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of [`BUFFER_BYTES`] that returns to its thread's pool when dropped.
pub(crate) struct Buffer(Box<[u8]>);

impl Buffer {
    /// Takes a spare buffer or makes one; its content is arbitrary old bytes of this thread.
    pub(crate) fn take() -> Self {
        let spare = SPARE.with(|spare| spare.borrow_mut().pop());
        Self(spare.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice()))
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.0);
        // The pool is gone while the thread ends: then the buffer is simply freed.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARE_BUFFERS {
                spare.push(bytes);
            }
        });
    }
}

/// Bytes waiting in a pooled buffer; without bytes there is no buffer.
#[derive(Default)]
pub(crate) struct Pending {
    buffer: Option<Buffer>,
    start: usize,
    end: usize,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.buffer {
            Some(buffer) => &buffer[self.start..self.end],
            None => &[],
        }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.buffer {
            Some(buffer) => &mut buffer[self.start..self.end],
            None => &mut [],
        }
    }

    /// The writable rest of the buffer, after moving what waits to its front if `wanted` bytes
    /// would not fit behind it. Empty when the buffer is full.
    pub(crate) fn room(&mut self, wanted: usize) -> &mut [u8] {
        let buffer = self.buffer.get_or_insert_with(Buffer::take);
        if self.start > 0 && buffer.len() - self.end < wanted {
            buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut buffer[self.end..]
    }

    /// Says that `count` bytes were written into [`Pending::room`].
    pub(crate) fn fill(&mut self, count: usize) {
        let capacity = self.buffer.as_ref().map_or(0, |buffer| buffer.len());
        self.end = (self.end + count).min(capacity);
    }

    /// Drops `count` bytes from the front.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        self.release_if_empty();
    }

    /// Gives the buffer back when nothing waits in it.
    pub(crate) fn release_if_empty(&mut self) {
        if self.is_empty() {
            self.buffer = None;
            self.start = 0;
            self.end = 0;
        }
    }
}
