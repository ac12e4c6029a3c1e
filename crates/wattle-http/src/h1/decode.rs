//! Reading a body off a transport, whatever delimits it.

use super::chunked::{Chunk, Chunked};
use super::framing::Framing;
use super::transport::Transport;
use crate::{BodyError, Frame, Limits};
use std::task::{Context, Poll, ready};

#[derive(Debug)]
pub(crate) enum Decoder {
    Done,
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

impl Decoder {
    /// A tunnel reads nothing until the other side agreed to it.
    pub(crate) fn new(framing: Framing, limits: &Limits) -> Self {
        match framing {
            Framing::None | Framing::Tunnel => Decoder::Done,
            Framing::Length(length) => Decoder::Length(length),
            Framing::Chunked => Decoder::Chunked(Chunked::new(limits.max_head_bytes)),
            Framing::UntilClose => Decoder::UntilClose,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Decoder::Done)
    }

    pub(crate) fn remaining(&self) -> Option<u64> {
        match self {
            Decoder::Done => Some(0),
            Decoder::Length(left) => Some(*left),
            Decoder::Chunked(_) | Decoder::UntilClose => None,
        }
    }

    /// The next frame; becomes `Done` with the last one or, where that shows later, with `None`.
    pub(crate) fn poll_frame(
        &mut self,
        transport: &mut Transport,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, BodyError>>> {
        loop {
            if let Decoder::Chunked(chunked) = self {
                match chunked.decode(&mut transport.read) {
                    Ok(Chunk::Data(data)) => return Poll::Ready(Some(Ok(Frame::Data(data)))),
                    Ok(Chunk::End(trailers)) => {
                        *self = Decoder::Done;
                        return Poll::Ready(trailers.map(|trailers| Ok(Frame::Trailers(trailers))));
                    }
                    Ok(Chunk::NeedMore) => {}
                    Err(error) => return self.fail(BodyError::Parse(error)),
                }
            } else if let Some(frame) = self.take_plain(transport) {
                return Poll::Ready(frame.map(Ok));
            }
            match ready!(transport.poll_fill(cx)) {
                Ok(true) => {}
                Ok(false) => return self.at_eof(),
                Err(error) => return self.fail(BodyError::Io(error)),
            }
        }
    }

    /// `None` when more must be read first, `Some(None)` at the end.
    fn take_plain(&mut self, transport: &mut Transport) -> Option<Option<Frame>> {
        match self {
            Decoder::Done => Some(None),
            _ if transport.read.is_empty() => None,
            Decoder::Length(left) => {
                let taken = (*left).min(transport.read.len() as u64);
                *left -= taken;
                if *left == 0 {
                    *self = Decoder::Done;
                }
                Some(Some(Frame::Data(split(transport, taken as usize))))
            }
            Decoder::UntilClose | Decoder::Chunked(_) => {
                Some(Some(Frame::Data(std::mem::take(&mut transport.read))))
            }
        }
    }

    fn at_eof(&mut self) -> Poll<Option<Result<Frame, BodyError>>> {
        if matches!(self, Decoder::UntilClose) {
            *self = Decoder::Done;
            return Poll::Ready(None);
        }
        self.fail(BodyError::Closed)
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame, BodyError>>> {
        *self = Decoder::Done;
        Poll::Ready(Some(Err(error)))
    }

    /// Whether the end of the body was reached without asking the stream for more: moves `Chunked` to `Done` where
    /// the end is already in the buffer and carries no trailers.
    pub(crate) fn settle(&mut self, transport: &mut Transport) {
        if let Decoder::Chunked(_) = self
            && transport.read.as_ref() == b"\r\n0\r\n\r\n"
        {
            transport.read = bytes::Bytes::new();
            *self = Decoder::Done;
        }
    }
}

fn split(transport: &mut Transport, taken: usize) -> bytes::Bytes {
    if taken == transport.read.len() {
        std::mem::take(&mut transport.read)
    } else {
        transport.read.split_to(taken)
    }
}
