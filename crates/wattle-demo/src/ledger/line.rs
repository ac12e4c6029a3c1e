//! Lines on a stream, with a bound on their length.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Most bytes of a line, its end included.
const MAX_LINE_BYTES: usize = 8 * 1024;

/// Reads lines off a stream. Dropping a wait for a line loses nothing.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    stream: R,
    read: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn of(stream: R) -> Self {
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// The next line without its end; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                let text = std::str::from_utf8(&line).map_err(io::Error::other)?;
                return Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()));
            }
            if self.read.len() >= MAX_LINE_BYTES {
                return Err(io::Error::other("line larger than 8 KiB"));
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                let whole = self.read.is_empty();
                return if whole {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn lines_are_read_with_either_end_and_a_cut_one_is_an_error() {
        let mut lines = Lines::of(&b"one\r\ntwo\n\nthr"[..]);
        for expected in ["one", "two", ""] {
            assert_eq!(lines.next().await.unwrap().as_deref(), Some(expected));
        }
        assert_eq!(
            lines.next().await.unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    #[tokio::test]
    async fn a_line_without_end_is_refused_at_the_bound() {
        let endless = vec![b'a'; 10 * MAX_LINE_BYTES];
        assert!(Lines::of(&endless[..]).next().await.is_err());
    }
}
