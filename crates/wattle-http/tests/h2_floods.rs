//! A client that keeps the HTTP/2 server busy for nothing is told to go, and one that only looks like it is served.
#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use http::StatusCode;
use std::cell::Cell;
use std::rc::Rc;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::spawn_local;
use wattle_http::{Body, Drain, Limits, Request, Response, ServeError, h2};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const ENHANCE_YOUR_CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `GET / http x`, by the static table and one literal.
fn request(stream: u32, end: bool) -> Vec<u8> {
    frame(
        1,
        4 | u8::from(end),
        stream,
        &[0x82, 0x84, 0x86, 0x41, 0x01, b'x'],
    )
}

fn reset(stream: u32) -> Vec<u8> {
    frame(3, 0, stream, &[0, 0, 0, 8])
}

/// A server that counts what it was asked, and never answers.
fn silent(limits: Limits) -> (DuplexStream, Serving, Rc<Cell<usize>>) {
    let asked = Rc::new(Cell::new(0));
    let counted = asked.clone();
    let handler = Rc::new(Call(move |_: Request| {
        let counted = counted.clone();
        async move {
            counted.set(counted.get() + 1);
            std::future::pending::<Response>().await
        }
    }));
    let (near, far) = duplex(1 << 20);
    let serving = spawn_local(h2::serve(
        far,
        Bytes::new(),
        handler,
        Rc::new(limits),
        Drain::never(),
    ));
    (near, serving, asked)
}

/// Writes pieces, one turn of the server after each, until it has gone; how many it took.
async fn flood(stream: DuplexStream, mut piece: impl FnMut(u32) -> Vec<u8>, most: u32) -> (u32, Option<u32>) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let reading = spawn_local(async move {
        let mut all = Vec::new();
        let _ = reader.read_to_end(&mut all).await;
        last_goaway(&all)
    });
    writer.write_all(PREFACE).await.unwrap();
    let mut sent = 0;
    while sent < most && writer.write_all(&piece(sent)).await.is_ok() {
        sent += 1;
        tokio::task::yield_now().await;
    }
    let _ = writer.shutdown().await;
    drop(writer);
    (sent, reading.await.unwrap())
}

fn last_goaway(mut bytes: &[u8]) -> Option<u32> {
    let mut code = None;
    while bytes.len() >= 9 {
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        if bytes[3] == 7 {
            code = Some(u32::from_be_bytes(bytes[13..17].try_into().unwrap()));
        }
        bytes = &bytes[9 + length..];
    }
    code
}

#[test]
fn idle_frames_end_the_connection_when_there_are_too_many() {
    let table = [
        ("ping", frame(6, 0, 0, &[0; 8])),
        ("settings", frame(4, 0, 0, &[])),
        ("priority", frame(2, 0, 1, &[0, 0, 0, 3, 0])),
        ("window update", frame(8, 0, 0, &[0, 0, 0, 1])),
        ("unknown", frame(0x77, 0, 0, b"x")),
    ];
    for (name, piece) in table {
        run(async {
            let limits = Limits {
                max_idle_frames: 100,
                ..Limits::default()
            };
            let (stream, serving, _) = silent(limits);
            let (sent, goaway) = flood(stream, |_| piece.clone(), 1000).await;
            assert!(sent < 200, "{name}: {sent} were taken");
            assert_eq!(goaway, Some(ENHANCE_YOUR_CALM), "{name}");
            let ended = serving.await.unwrap();
            assert!(
                matches!(ended, Err(ServeError::H2(ENHANCE_YOUR_CALM))),
                "{name}: {ended:?}"
            );
        });
    }
}

#[test]
fn streams_that_are_opened_and_reset_at_once_end_the_connection() {
    run(async {
        let limits = Limits {
            max_early_resets: 50,
            ..Limits::default()
        };
        let (stream, serving, _) = silent(limits);
        let rapid = |turn: u32| {
            // One turn of the server between the two, so that it has begun to serve.
            match turn % 2 {
                0 => request(turn + 1, true),
                _ => reset(turn),
            }
        };
        let (sent, goaway) = flood(stream, rapid, 2000).await;
        assert!(sent < 250, "{sent} were taken");
        assert_eq!(goaway, Some(ENHANCE_YOUR_CALM));
        assert!(matches!(
            serving.await.unwrap(),
            Err(ServeError::H2(ENHANCE_YOUR_CALM))
        ));
    });
}

#[test]
fn what_is_still_sent_for_requests_that_were_answered_early_is_no_offence() {
    run(async {
        let early = Rc::new(Call(async |_: Request| {
            Response::new(StatusCode::OK, Body::Empty)
        }));
        let (near, far) = duplex(1 << 20);
        let limits = Rc::new(Limits::default());
        spawn_local(h2::serve(far, Bytes::new(), early, limits, Drain::never()));
        // More than the engine remembers as reset, and than it would bear of a client that offends.
        let late = |turn: u32| match turn % 2 {
            0 => request(turn + 1, false),
            _ => frame(0, 1, turn, b"x"),
        };
        let (sent, goaway) = flood(near, late, 6000).await;
        assert_eq!(sent, 6000);
        assert_eq!(goaway.unwrap_or_default(), 0);
    });
}

#[test]
fn nothing_begins_for_a_stream_that_comes_with_its_reset() {
    run(async {
        let (mut stream, _serving, asked) = silent(Limits::default());
        let both = [PREFACE.to_vec(), request(1, true), reset(1), request(3, true)].concat();
        stream.write_all(&both).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        assert_eq!(asked.get(), 1);
    });
}

#[test]
fn streams_given_up_late_are_no_offence() {
    run(async {
        let limits = Limits {
            max_early_resets: 1,
            ..Limits::default()
        };
        let (mut stream, serving, asked) = silent(limits);
        stream.write_all(PREFACE).await.unwrap();
        for id in (1..20).step_by(2) {
            stream.write_all(&request(id, true)).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            stream.write_all(&reset(id)).await.unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert_eq!(asked.get(), 10);
        assert!(!serving.is_finished());
    });
}
