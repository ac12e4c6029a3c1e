//! Bodies on HTTP/2 streams: read as the reader asks, sent as the peer's window allows.

use super::client::Active;
use crate::{Body, BodyError, Frame};
use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use std::fmt;
use std::task::{Context, Poll, ready};

/// The receiving half of a stream; of a response, also what still sends the request.
pub struct StreamBody {
    recv: RecvStream,
    upload: Option<Box<Pump>>,
    /// Counts as a stream in work until both directions ended.
    active: Option<Active>,
    /// Of the announced length, still to come.
    left: Option<u64>,
    data_ended: bool,
    ended: bool,
}

impl StreamBody {
    /// The body of a stream; nothing if the stream is at its end and there is nothing left to send.
    pub(super) fn start(
        recv: RecvStream,
        length: Option<u64>,
        upload: Option<Box<Pump>>,
        active: Option<Active>,
    ) -> Body {
        if recv.is_end_stream() && upload.is_none() {
            return Body::Empty;
        }
        Body::H2(Self {
            recv,
            upload,
            active,
            left: length,
            data_ended: false,
            ended: false,
        })
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let driven = self.poll_drive(cx);
        if self.ended {
            if driven.is_ready() {
                self.active = None;
            }
            return Poll::Ready(None);
        }
        while !self.data_ended {
            match ready!(self.recv.poll_data(cx)) {
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => return Poll::Ready(Some(self.take(data))),
                Some(Err(error)) => return self.fail(&error),
                None => self.data_ended = true,
            }
        }
        let trailers = ready!(self.recv.poll_trailers(cx));
        match trailers {
            Ok(trailers) => {
                self.ended = true;
                Poll::Ready(trailers.map(|mut trailers| {
                    crate::headers::strip_from_trailers(&mut trailers);
                    Ok(Frame::Trailers(trailers))
                }))
            }
            Err(error) => self.fail(&error),
        }
    }

    fn take(&mut self, data: Bytes) -> Result<Frame, BodyError> {
        // The reader holds one frame at a time, so giving the window back now bounds what is in flight.
        let _ = self.recv.flow_control().release_capacity(data.len());
        self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
        Ok(Frame::Data(data))
    }

    fn fail(&mut self, error: &h2::Error) -> Poll<Option<Result<Frame, BodyError>>> {
        self.ended = true;
        self.data_ended = true;
        Poll::Ready(Some(Err(body_error(error))))
    }

    /// Goes on sending the request. A peer that wants no more of it says so by a reset; the response decides.
    pub(crate) fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(upload) = &mut self.upload {
            let _ = ready!(upload.poll(cx));
            self.upload = None;
        }
        Poll::Ready(())
    }

    pub(crate) fn remaining(&self) -> Option<u64> {
        if self.is_end() { Some(0) } else { self.left }
    }

    pub(crate) fn is_end(&self) -> bool {
        self.ended || self.recv.is_end_stream()
    }
}

impl fmt::Debug for StreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamBody")
            .field("left", &self.left)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

fn body_error(error: &h2::Error) -> BodyError {
    match error.reason() {
        Some(reason) => BodyError::Reset(reason.into()),
        None if error.is_io() => BodyError::Closed,
        None => BodyError::Reset(Reason::INTERNAL_ERROR.into()),
    }
}

/// Moves a body into a stream.
pub(super) struct Pump {
    send: SendStream<Bytes>,
    pub(super) body: Body,
    data: Bytes,
    /// The body's first frame was taken.
    pub(super) consumed: bool,
    ended: bool,
}

/// Why a body could not be sent to its end.
#[derive(Debug)]
pub(super) enum PumpError {
    /// It broke off itself; the stream was reset.
    Body(BodyError),
    /// The peer reset the stream or the connection is gone.
    Peer,
}

impl Pump {
    pub(super) fn new(send: SendStream<Bytes>, body: Body) -> Self {
        Self {
            send,
            body,
            data: Bytes::new(),
            consumed: false,
            ended: false,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        let polled = self.poll_frames(cx);
        // The peer takes no more now; what the body does besides goes on.
        if polled.is_pending() && !self.data.is_empty() {
            let _ = self.poll_driven(cx)?;
        }
        if polled.is_pending() && self.send.poll_reset(cx).is_ready() {
            return Poll::Ready(Err(PumpError::Peer));
        }
        polled
    }

    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        while !self.ended {
            if !self.data.is_empty() {
                ready!(self.poll_data(cx))?;
                continue;
            }
            let frame = ready!(self.body.poll_next(cx));
            self.consumed = true;
            match frame {
                Some(Ok(Frame::Data(data))) => self.data = data,
                // Whoever read them has taken out what may not come as a trailer.
                Some(Ok(Frame::Trailers(trailers))) => {
                    self.ended = true;
                    self.send.send_trailers(trailers).map_err(|_| PumpError::Peer)?;
                }
                Some(Err(error)) => {
                    self.ended = true;
                    self.send.send_reset(reset_code(&error));
                    return Poll::Ready(Err(PumpError::Body(error)));
                }
                None => {
                    self.ended = true;
                    self.send
                        .send_data(Bytes::new(), true)
                        .map_err(|_| PumpError::Peer)?;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        self.send.reserve_capacity(self.data.len());
        let mut capacity = self.send.capacity();
        if capacity == 0 {
            capacity = match ready!(self.send.poll_capacity(cx)) {
                Some(Ok(capacity)) => capacity,
                _ => return Poll::Ready(Err(PumpError::Peer)),
            };
        }
        let part = self.data.split_to(capacity.min(self.data.len()));
        let end = self.data.is_empty() && self.body.is_end();
        self.ended = end;
        if part.is_empty() && !end {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(self.send.send_data(part, end).map_err(|_| PumpError::Peer))
    }

    /// What the body does beside being read; resets the stream when it is cut off.
    pub(super) fn poll_driven(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        self.body.poll_drive(cx).map_err(|error| {
            self.send.send_reset(reset_code(&error));
            PumpError::Body(error)
        })
    }
}

/// What the far side is told when a body breaks off here.
fn reset_code(error: &BodyError) -> Reason {
    match error {
        BodyError::Reset(code) => Reason::from(*code),
        BodyError::Closed | BodyError::Abandoned | BodyError::Io(_) => Reason::CANCEL,
        BodyError::Parse(_) | BodyError::Length => Reason::PROTOCOL_ERROR,
        BodyError::TooLarge(_) => Reason::INTERNAL_ERROR,
    }
}
