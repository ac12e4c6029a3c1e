//! A question as one unary call of gRPC.

use std::rc::Rc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderValue, Method, Version, header};
use prost::Message;
use wattle_http::{Body, Frame, Request, RequestHead, Response};

use super::{Failure, ask};
use crate::config::Dialled;
use crate::phases::connect::Wanted;
use crate::phases::record::grpc_status;
use crate::worker::Worker;

/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// A method, and the time that its answer has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// `/PACKAGE.SERVICE/METHOD`.
    pub(crate) path: &'static str,
    pub(crate) timeout: Duration,
}

/// Calls, within the time that the call has.
pub(crate) async fn call<A: Message + Default>(
    worker: &Rc<Worker>,
    service: &Dialled,
    call: Call,
    question: &impl Message,
) -> Result<A, Failure> {
    let message = framed(question);
    let answered = async {
        let question = |authority: &str| Request::new(head(authority, call), Body::full(message));
        answer(ask(worker, service, Wanted::Http2, question).await?).await
    };
    tokio::time::timeout(call.timeout, answered)
        .await
        .unwrap_or_else(|_| Err(Failure::new("timeout", "no answer in time")))
}

fn head(authority: &str, call: Call) -> RequestHead {
    let mut head = RequestHead::new(Method::POST, authority, call.path);
    head.version = Version::HTTP_2;
    let headers = &mut head.headers;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let millis = call.timeout.as_millis().clamp(1, 99_999_999);
    if let Ok(value) = HeaderValue::try_from(format!("{millis}m")) {
        headers.insert("grpc-timeout", value);
    }
    head
}

fn framed(message: &impl Message) -> Bytes {
    let bytes = message.encode_to_vec();
    let mut frame = BytesMut::with_capacity(bytes.len() + 5);
    frame.put_u8(0);
    frame.put_u32(bytes.len() as u32);
    frame.put_slice(&bytes);
    frame.freeze()
}

/// Reads the answer to its end; its status is in the trailers, or in the head where there is nothing else.
async fn answer<A: Message + Default>(response: Response) -> Result<A, Failure> {
    let Response { head, mut body } = response;
    let mut status = grpc_status(&head.headers);
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.next().await {
        match frame.map_err(|error| Failure::new("exchange", error.to_string()))? {
            Frame::Data(data) if bytes.len() + data.len() <= MAX_ANSWER => bytes.extend_from_slice(&data),
            Frame::Data(_) => return Err(Failure::new("answer", "larger than is read")),
            Frame::Trailers(trailers) => status = grpc_status(&trailers).or(status),
        }
    }
    match status {
        Some(0) => {}
        Some(status) => return Err(Failure::new("grpc_status", status.to_string())),
        None => return Err(Failure::new("http_status", head.status.as_str())),
    }
    let message = bytes.get(5..).filter(|message| {
        let length = bytes[1..5]
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        bytes[0] == 0 && length == message.len()
    });
    let message = message.ok_or_else(|| Failure::new("answer", "not one uncompressed message"))?;
    A::decode(message).map_err(|error| Failure::new("answer", error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::{HeaderMap, StatusCode};

    use super::*;

    /// What is read of an answer whose only field has so many letters.
    async fn read(letters: usize) -> Result<String, Failure> {
        let (sender, body) = Body::channel(4);
        let bytes = framed(&"x".repeat(letters));
        // In two pieces: the bound is of the whole.
        for piece in [bytes.slice(..5), bytes.slice(5..)] {
            sender.try_send(Frame::Data(piece)).unwrap();
        }
        let status = [(
            http::HeaderName::from_static("grpc-status"),
            HeaderValue::from_static("0"),
        )];
        sender
            .try_send(Frame::Trailers(HeaderMap::from_iter(status)))
            .unwrap();
        sender.finish();
        answer(Response::new(StatusCode::OK, body)).await
    }

    #[tokio::test]
    async fn an_answer_of_more_than_64_kibibytes_is_none() {
        // Beside its letters there are a frame's head of 5 bytes, and 4 for the field.
        let most = MAX_ANSWER - 9;
        assert_eq!(read(most).await.unwrap().len(), most);
        assert_eq!(read(most + 1).await.unwrap_err().detail, "larger than is read");
    }
}
