//! Bodies: streams of data and trailers that pull, so that back-pressure runs end to end.

mod channel;
mod kept;
mod watched;

pub use channel::Sender;
pub use kept::Kept;
pub use watched::{Watch, Watched};

use crate::ParseError;
use crate::h1::{RequestBody, ResponseBody};
use crate::h2::StreamBody;
use bytes::Bytes;
use http::HeaderMap;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

/// A part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Data; never empty.
    Data(Bytes),
    /// Trailers; the last frame.
    Trailers(HeaderMap),
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The stream ended before the body did.
    #[error("connection closed within the body")]
    Closed,
    /// The stream failed.
    #[error("connection failed")]
    Io(#[source] io::Error),
    /// The framing is broken.
    #[error("body refused: {0}")]
    Parse(ParseError),
    /// More or less data came than was announced.
    #[error("body length differs from content-length")]
    Length,
    /// The HTTP/2 stream was reset with this code (RFC 9113 §7).
    #[error("stream reset with code {0}")]
    Reset(u32),
    /// The producer gave up.
    #[error("body was abandoned")]
    Abandoned,
    /// Larger than the reader accepts.
    #[error("body larger than {0} bytes")]
    TooLarge(usize),
}

/// The body of a message. Dropping it before its end tells the peer to stop.
#[derive(Debug, Default)]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// All of it at once.
    Full(Bytes),
    /// Of a request, read from an HTTP/1 connection that is being served.
    H1Request(RequestBody),
    /// Of a response, read from an HTTP/1 connection it owns.
    H1Response(ResponseBody),
    /// Of either, read from an HTTP/2 stream.
    H2(StreamBody),
    /// Fed by a [`Sender`].
    Channel(channel::Receiver),
    /// Another body, kept as it passes so that it can be read again.
    Kept(kept::Reader),
    /// Another body, watched as it passes.
    Watched(Box<Watched>),
}

impl Body {
    /// A body of these bytes.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Self::Empty
        } else {
            Self::Full(bytes)
        }
    }

    /// A body fed by hand; at most `bound` frames (at least 1) wait in between.
    pub fn channel(bound: usize) -> (Sender, Self) {
        let (sender, receiver) = channel::new(bound);
        (sender, Self::Channel(receiver))
    }

    /// The same body, watched as it passes.
    pub fn watched(self, watch: Box<dyn Watch>) -> Self {
        Self::Watched(Box::new(Watched::new(self, watch)))
    }

    /// The next frame; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Frame, BodyError>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next frame; `None` at the end, and ever after.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        match self {
            Body::Empty => Poll::Ready(None),
            Body::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Body::Empty;
                Poll::Ready((!bytes.is_empty()).then_some(Ok(Frame::Data(bytes))))
            }
            Body::H1Request(body) => body.poll_next(cx),
            Body::H1Response(body) => body.poll_next(cx),
            Body::H2(body) => body.poll_next(cx),
            Body::Channel(body) => body.poll_next(cx),
            Body::Kept(body) => body.poll_next(cx),
            Body::Watched(body) => body.poll_next(cx),
        }
    }

    /// Does what a response body does beside being read: sends the request that belongs to it.
    ///
    /// To be polled while the reader cannot take more, so that an upload does not wait for a download.
    /// Ready when the request is sent to its end; yields no frame. Fails when its watcher cuts it off.
    pub fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        match self {
            Body::H1Response(body) => body.poll_drive(cx).map(Ok),
            Body::H2(body) => body.poll_drive(cx).map(Ok),
            Body::Watched(body) => body.poll_drive(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Bytes still to come, where known exactly.
    pub fn remaining(&self) -> Option<u64> {
        match self {
            Body::Empty => Some(0),
            Body::Full(bytes) => Some(bytes.len() as u64),
            Body::H1Request(body) => body.remaining(),
            Body::H1Response(body) => body.remaining(),
            Body::H2(body) => body.remaining(),
            Body::Channel(_) => None,
            Body::Kept(body) => body.remaining(),
            Body::Watched(body) => body.body().remaining(),
        }
    }

    /// Whether it is known that nothing more comes, trailers included.
    pub fn is_end(&self) -> bool {
        match self {
            Body::Empty => true,
            Body::Full(bytes) => bytes.is_empty(),
            Body::H1Request(body) => body.is_end(),
            Body::H1Response(body) => body.is_end(),
            Body::H2(body) => body.is_end(),
            Body::Channel(body) => body.is_end(),
            Body::Kept(body) => body.is_end(),
            Body::Watched(body) => body.body().is_end(),
        }
    }

    /// A second body with the same content, for bodies that are there as a whole.
    pub fn try_clone(&self) -> Option<Self> {
        match self {
            Body::Empty => Some(Body::Empty),
            Body::Full(bytes) => Some(Body::Full(bytes.clone())),
            Body::Kept(body) => body.try_clone().map(Body::Kept),
            _ => None,
        }
    }

    /// Reads all data, at most `bound` bytes; trailers are dropped.
    pub async fn collect(mut self, bound: usize) -> Result<Bytes, BodyError> {
        let mut all = bytes::BytesMut::new();
        let mut only = Bytes::new();
        while let Some(frame) = self.next().await {
            let Frame::Data(data) = frame? else { continue };
            if all.len() + only.len() + data.len() > bound {
                return Err(BodyError::TooLarge(bound));
            }
            if only.is_empty() && all.is_empty() {
                only = data;
                continue;
            }
            all.extend_from_slice(&std::mem::take(&mut only));
            all.extend_from_slice(&data);
        }
        Ok(if all.is_empty() { only } else { all.freeze() })
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::full(Bytes::from_static(text.as_bytes()))
    }
}
