//! A server that answers before it has the whole request, and then wants no more of it (RFC 9113, section 8.1).
#![allow(clippy::unwrap_used)]

mod support;

use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use support::*;
use tokio::io::duplex;
use tokio::task::{spawn_local, yield_now};
use wattle_http::h2::Client;
use wattle_http::{Drain, Limits, Request, h2};

/// Requests at a time on one connection.
const STREAMS: u32 = 24;

/// Numbers that come again with the seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Answers each request as soon as its head is there, with a message and trailers.
async fn answer_early(io: tokio::io::DuplexStream) {
    let mut conn = ::h2::server::handshake(io).await.unwrap();
    while let Some(Ok((request, mut respond))) = conn.accept().await {
        spawn_local(async move {
            let mut send = respond.send_response(http::Response::new(()), false).unwrap();
            send.send_data(Bytes::from_static(b"message"), false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            send.send_trailers(trailers).unwrap();
            drop(request);
        });
    }
}

async fn connect(io: tokio::io::DuplexStream) -> Client {
    let (client, driver) = h2::connect(io, &Limits::default()).await.unwrap();
    spawn_local(driver);
    client
}

/// A proxy towards `client`.
fn forward(io: tokio::io::DuplexStream, client: Client) {
    let handler = Rc::new(Call(move |request: Request| {
        let client = client.clone();
        async move { client.send(request).await.unwrap() }
    }));
    spawn_local(h2::serve(
        io,
        Bytes::new(),
        handler,
        Rc::new(Limits::default()),
        Drain::never(),
    ));
}

/// Whether no more of the request is wanted; nothing else may be said of it.
fn reset(body: &mut ::h2::SendStream<Bytes>) -> bool {
    match body.poll_reset(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(reason)) => {
            assert_eq!(reason, ::h2::Reason::NO_ERROR);
            true
        }
        Poll::Ready(Err(error)) => panic!("{error:?}"),
        Poll::Pending => false,
    }
}

async fn ask(mut send: ::h2::client::SendRequest<Bytes>, late: u64, between: u64) -> Result<(), String> {
    let request = http::Request::post("http://a/").body(()).unwrap();
    let (response, mut body) = send
        .send_request(request, false)
        .map_err(|error| format!("send {error:?}"))?;
    let sending = spawn_local(async move {
        for _ in 0..late {
            yield_now().await;
            if reset(&mut body) {
                return;
            }
        }
        let _ = body.send_data(Bytes::from_static(b"first"), between == 0);
        for _ in 0..between {
            yield_now().await;
            if reset(&mut body) {
                return;
            }
        }
        if between > 0 {
            let _ = body.send_data(Bytes::from_static(b"last"), true);
        }
        for _ in 0..40 {
            yield_now().await;
            if reset(&mut body) {
                return;
            }
        }
    });
    let response = response.await.map_err(|error| format!("head {error:?}"))?;
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        bytes.extend_from_slice(&data.map_err(|error| format!("data {error:?}"))?);
    }
    let trailers = body
        .trailers()
        .await
        .map_err(|error| format!("trailers {error:?}"))?;
    sending.await.map_err(|error| format!("sending {error:?}"))?;
    match (&*bytes, trailers.is_some()) {
        (b"message", true) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn an_early_answer_arrives_whole_through_two_proxies() {
    for seed in 0..400 {
        run(async {
            let mut dice = Dice(seed);
            let mut room = || 64 << dice.below(10);
            let (a, b) = duplex(room());
            let (c, d) = duplex(room());
            let (e, f) = duplex(room());
            spawn_local(answer_early(f));
            forward(d, connect(e).await);
            forward(b, connect(c).await);
            let (send, conn) = ::h2::client::handshake(a).await.unwrap();
            spawn_local(async move { conn.await.unwrap() });
            let asked: Vec<_> = (0..STREAMS)
                .map(|_| {
                    let (send, late, between) = (send.clone(), dice.below(40), dice.below(20));
                    spawn_local(async move { ask(send.ready().await.unwrap(), late, between).await })
                })
                .collect();
            for (index, asked) in asked.into_iter().enumerate() {
                let outcome = asked.await.unwrap();
                assert_eq!(outcome, Ok(()), "seed {seed}, request {index}");
            }
        });
    }
}
