//! Messages on a body: one byte of flags, four of length, then the message.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::HeaderMap;
use prost::Message;
use wattle_http::{Body, BodyError, Frame};

/// Most bytes of one message.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;
const PREFIX_BYTES: usize = 5;

/// Why a body is not a sequence of messages.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("{0}")]
    Body(BodyError),
    #[error("message is compressed, which nobody agreed to")]
    Compressed,
    #[error("message larger than {MAX_MESSAGE_BYTES} bytes")]
    TooLarge,
    #[error("body ends within a message")]
    Cut,
    #[error("message cannot be decoded: {0}")]
    Decode(prost::DecodeError),
}

/// A message with its prefix.
pub(crate) fn framed(message: &impl Message) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + message.encoded_len());
    frame.put_u8(0);
    frame.put_u32(message.encoded_len() as u32);
    frame.put_slice(&message.encode_to_vec());
    frame.freeze()
}

/// The messages of a body, one after the other, then its trailers.
#[derive(Debug)]
pub(crate) struct Messages {
    body: Body,
    read: BytesMut,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Messages {
    pub(crate) fn of(body: Body) -> Self {
        Self {
            body,
            read: BytesMut::new(),
            trailers: None,
        }
    }

    /// The next message; `None` at the end.
    pub(crate) async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, FrameError> {
        loop {
            if let Some(message) = cut(&mut self.read)? {
                return M::decode(message).map(Some).map_err(FrameError::Decode);
            }
            match self.body.next().await {
                Some(Ok(Frame::Data(data))) => self.read.extend_from_slice(&data),
                Some(Ok(Frame::Trailers(trailers))) => self.trailers = Some(trailers),
                Some(Err(error)) => return Err(FrameError::Body(error)),
                None if self.read.is_empty() => return Ok(None),
                None => return Err(FrameError::Cut),
            }
        }
    }
}

/// Takes one whole message off the front.
fn cut(read: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
    let Some(prefix) = read.first_chunk::<PREFIX_BYTES>() else {
        return Ok(None);
    };
    let [flags, length @ ..] = *prefix;
    if flags != 0 {
        return Err(FrameError::Compressed);
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_MESSAGE_BYTES {
        return Err(FrameError::TooLarge);
    }
    if read.len() < PREFIX_BYTES + length {
        return Ok(None);
    }
    read.advance(PREFIX_BYTES);
    Ok(Some(read.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::grpc::message::Vote;

    fn votes() -> Vec<Vote> {
        (1..4)
            .map(|stars| Vote {
                voter: "x".repeat(stars as usize * 10),
                stars,
            })
            .collect()
    }

    #[tokio::test]
    async fn messages_come_back_however_the_bytes_were_cut() {
        let bytes: Vec<u8> = votes().iter().flat_map(framed).collect();
        for size in [1, 3, 5, 16, 1000] {
            let (sender, body) = Body::channel(1000);
            for piece in bytes.chunks(size) {
                sender
                    .try_send(Frame::Data(Bytes::copy_from_slice(piece)))
                    .unwrap();
            }
            sender.finish();
            let mut messages = Messages::of(body);
            for vote in votes() {
                assert_eq!(messages.next::<Vote>().await.unwrap(), Some(vote));
            }
            assert_eq!(messages.next::<Vote>().await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn what_is_no_message_is_refused() {
        let whole = framed(&votes()[0]);
        let cases: [(&[u8], &str); 4] = [
            (&whole[..7], "ends within"),
            (&[1, 0, 0, 0, 0], "compressed"),
            (&[0, 255, 0, 0, 0], "larger"),
            (&[0, 0, 0, 0, 1, 255], "decoded"),
        ];
        for (bytes, expected) in cases {
            let mut messages = Messages::of(Body::full(Bytes::copy_from_slice(bytes)));
            let error = messages.next::<Vote>().await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
