//! Moving bytes between two sockets inside the kernel.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Wanted size of a pipe; the kernel may give its default of 64 KiB instead.
const PIPE_BYTES: usize = 256 * 1024;

/// Spare pipes one thread keeps.
const SPARE_PIPES: usize = 8;

thread_local! {
    static SPARE: RefCell<Vec<(OwnedFd, OwnedFd)>> = const { RefCell::new(Vec::new()) };
}

/// A pipe between two sockets; it returns to its thread's pool when dropped empty.
pub(super) struct Splice {
    ends: Option<(OwnedFd, OwnedFd)>,
    held_bytes: usize,
}

impl Splice {
    pub(super) fn new() -> io::Result<Self> {
        let spare = SPARE.with(|spare| spare.borrow_mut().pop());
        let ends = match spare {
            Some(ends) => ends,
            None => make_pipe()?,
        };
        Ok(Self {
            ends: Some(ends),
            held_bytes: 0,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held_bytes == 0
    }

    /// Takes bytes from a socket; only while empty, so that "would block" means the socket.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>, from: &TcpStream) -> Poll<io::Result<usize>> {
        let Some((_, input)) = &self.ends else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        loop {
            ready!(from.poll_read_ready(cx))?;
            let moved = from.try_io(Interest::READABLE, || transfer(from, input, PIPE_BYTES));
            match moved {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(count) => {
                    self.held_bytes = count;
                    return Poll::Ready(Ok(count));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Gives bytes to a socket.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>, to: &TcpStream) -> Poll<io::Result<usize>> {
        let Some((output, _)) = &self.ends else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        loop {
            ready!(to.poll_write_ready(cx))?;
            let moved = to.try_io(Interest::WRITABLE, || transfer(output, to, self.held_bytes));
            match moved {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.held_bytes -= count.min(self.held_bytes);
                    return Poll::Ready(Ok(count));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Drop for Splice {
    fn drop(&mut self) {
        // A pipe that still holds bytes must never carry them into another connection.
        if self.held_bytes > 0 {
            return;
        }
        let Some(ends) = self.ends.take() else { return };
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARE_PIPES {
                spare.push(ends);
            }
        });
    }
}

fn make_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let ends = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // The user's share of pipe memory may be used up: a small pipe works, too.
    let _ = fcntl_setpipe_size(&ends.1, PIPE_BYTES);
    Ok(ends)
}

fn transfer(
    from: impl std::os::fd::AsFd,
    to: impl std::os::fd::AsFd,
    limit_bytes: usize,
) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    Ok(splice(from, None, to, None, limit_bytes, flags)?)
}
