//! Probe: one question to an endpoint whether it is well, over connections as requests have them.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderValue, Method, StatusCode, Version, header};
use wattle_http::{Body, Request, RequestHead, Response};
use wattle_model::traffic::HealthProbe;

use super::connect::{self, Wanted};
use super::exchange;
use crate::worker::{Upstream, Worker};

/// Longest answer that is read, in bytes; a longer one costs its connection.
const MAX_ANSWER: usize = 64 * 1024;
/// `grpc.health.v1.HealthCheckResponse` with `status: SERVING`, in its frame.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 1];

/// Asks once; the caller bounds the time.
pub(crate) async fn is_well(worker: &Worker, upstream: &Upstream, probe: &HealthProbe) -> bool {
    match probe {
        HealthProbe::Tcp => wattle_net::connect(upstream.address, &worker.outward_to(&upstream.bounds))
            .await
            .is_ok(),
        HealthProbe::Http { path, host } => {
            let host = authority(upstream, host);
            let head = RequestHead::new(Method::GET, host, &**path);
            let request = Request::new(head, Body::Empty);
            let answer = ask(worker, upstream, Wanted::Http1, request).await;
            answer.is_some_and(|(status, _)| (200..400).contains(&status.as_u16()))
        }
        HealthProbe::Grpc { service } => {
            let request = grpc(authority(upstream, ""), service);
            let answer = ask(worker, upstream, Wanted::Http2, request).await;
            answer.is_some_and(|(status, message)| status == StatusCode::OK && message == SERVING)
        }
    }
}

fn authority(upstream: &Upstream, host: &str) -> String {
    match host.is_empty() {
        true => upstream.address.to_string(),
        false => host.to_owned(),
    }
}

fn grpc(authority: String, service: &str) -> Request {
    let mut head = RequestHead::new(Method::POST, authority, "/grpc.health.v1.Health/Check");
    head.version = Version::HTTP_2;
    head.headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    head.headers
        .insert(header::TE, HeaderValue::from_static("trailers"));
    Request::new(head, Body::full(question(service)))
}

/// `grpc.health.v1.HealthCheckRequest` in its frame; a name longer than 16 KiB asks about the server.
fn question(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    let length = service.len();
    if (1..1 << 14).contains(&length) {
        message.put_u8(0x0a);
        if length < 1 << 7 {
            message.put_u8(length as u8);
        } else {
            message.put_u8((length & 0x7f) as u8 | 0x80);
            message.put_u8((length >> 7) as u8);
        }
        message.put_slice(service.as_bytes());
    }
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(&message);
    frame.freeze()
}

async fn ask(
    worker: &Worker,
    upstream: &Upstream,
    wanted: Wanted,
    request: Request,
) -> Option<(StatusCode, Bytes)> {
    let connection = connect::http(worker, upstream, wanted, request.head.authority.as_str())
        .await
        .ok()?;
    let Response { head, body } = exchange::exchange(connection, Box::new(request))
        .await
        .ok()?
        .response;
    let message = body.collect(MAX_ANSWER).await.ok()?;
    Some((head.status, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_about_a_service_is_a_framed_message_with_its_name() {
        assert_eq!(question(""), &[0, 0, 0, 0, 0][..]);
        assert_eq!(question("a.B"), &[0, 0, 0, 0, 5, 0x0a, 3, b'a', b'.', b'B'][..]);
        let long = question(&"x".repeat(200));
        assert_eq!(&long[..8], &[0, 0, 0, 0, 203, 0x0a, 0xc8, 1]);
    }
}
