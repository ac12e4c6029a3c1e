//! HTTP/2 in both roles: against each other, against the `h2` crate, and as the hop between two HTTP/1 sides.
#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::spawn_local;
use wattle_http::h2::{Client, DriveError};
use wattle_http::{
    Body, BodyError, Drain, DrainSignal, Ended, Frame, Handler, Io, Limits, Request, RequestHead, Response,
    SendErrorKind, h2,
};

fn serve_h2<H: Handler + 'static>(io: impl Io + 'static, handler: Rc<H>, drain: Drain) -> Serving {
    spawn_local(h2::serve(
        io,
        Bytes::new(),
        handler,
        Rc::new(Limits::default()),
        drain,
    ))
}

async fn client_to<H: Handler + 'static>(handler: Rc<H>) -> Client {
    let (near, far) = duplex(1 << 16);
    serve_h2(far, handler, Drain::never());
    connect(near).await
}

async fn connect(io: impl Io + 'static) -> Client {
    let (client, driver) = h2::connect(io, &Limits::default()).await.unwrap();
    spawn_local(driver);
    client
}

fn get(path: &str) -> Request {
    Request::new(RequestHead::new(Method::GET, "x:80", path), Body::Empty)
}

fn post(body: Body) -> Request {
    Request::new(RequestHead::new(Method::POST, "x", "/"), body)
}

#[test]
fn requests_and_responses_pass_with_bodies() {
    run(async {
        let client = client_to(echo()).await;
        let response = client.send(get("/a?b=<c>|d")).await.unwrap();
        assert_eq!(response.head.status, StatusCode::OK);
        assert_eq!(
            response.body.collect(100).await.unwrap(),
            "GET x:80 /a?b=%3Cc%3E%7Cd "
        );
        let large = vec![b'z'; 900_000];
        let response = client
            .send(post(Bytes::from(large.clone()).into()))
            .await
            .unwrap();
        let body = response.body.collect(1 << 20).await.unwrap();
        assert!(body.starts_with(b"POST x / zzz") && body.len() == large.len() + 9);
        assert_eq!((client.requests(), client.active_streams()), (2, 0));
    });
}

#[test]
fn grpc_trailers_and_te_pass() {
    run(async {
        let handler = Rc::new(Call(|request: Request| async move {
            assert_eq!(request.head.headers["te"], "trailers");
            let (sender, body) = Body::channel(2);
            sender
                .try_send(Frame::Data(Bytes::from_static(b"message")))
                .unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            sender.try_send(Frame::Trailers(trailers)).unwrap();
            sender.finish();
            Response::new(StatusCode::OK, body)
        }));
        let mut request = post("question".into());
        request.head.headers.insert("te", "trailers".parse().unwrap());
        let mut response = client_to(handler).await.send(request).await.unwrap();
        assert_eq!(
            response.body.next().await.unwrap().unwrap(),
            Frame::Data(Bytes::from_static(b"message"))
        );
        assert!(
            matches!(response.body.next().await, Some(Ok(Frame::Trailers(found))) if found["grpc-status"] == "0")
        );
        assert!(response.body.next().await.is_none());
    });
}

#[test]
fn both_directions_stream_at_once() {
    run(async {
        let handler = Rc::new(Call(|request: Request| async {
            Response::new(StatusCode::OK, request.body)
        }));
        let (sender, body) = Body::channel(1);
        let mut response = client_to(handler).await.send(post(body)).await.unwrap();
        for word in ["one", "two"] {
            sender
                .send(Frame::Data(Bytes::from_static(word.as_bytes())))
                .await
                .unwrap();
            assert_eq!(
                response.body.next().await.unwrap().unwrap(),
                Frame::Data(Bytes::from_static(word.as_bytes()))
            );
        }
        sender.finish();
        assert!(response.body.next().await.is_none());
    });
}

#[test]
fn an_unread_response_stops_the_server_at_the_window() {
    run(async {
        let sent = Rc::new(Cell::new(0));
        let count = sent.clone();
        let handler = Rc::new(Call(move |_| {
            let count = count.clone();
            async move {
                let (sender, body) = Body::channel(1);
                spawn_local(async move {
                    while sender
                        .send(Frame::Data(Bytes::from(vec![0; 16_384])))
                        .await
                        .is_ok()
                    {
                        count.set(count.get() + 16_384);
                    }
                });
                Response::new(StatusCode::OK, body)
            }
        }));
        let client = client_to(handler).await;
        let response = client.send(get("/")).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(
            sent.get() <= (1 << 20) + (512 << 10),
            "{} bytes went into an unread stream",
            sent.get()
        );
        drop(response);
    });
}

#[test]
fn a_reset_from_either_side_reaches_the_other() {
    run(async {
        // The server's body breaks off: the client sees the code.
        let (sender, body) = Body::channel(1);
        let body = RefCell::new(Some(body));
        let breaking = Rc::new(Call(move |_| {
            let body = body.borrow_mut().take().unwrap();
            async { Response::new(StatusCode::OK, body) }
        }));
        sender.try_send(Frame::Data(Bytes::from_static(b"part"))).unwrap();
        let mut response = client_to(breaking).await.send(get("/")).await.unwrap();
        assert!(response.body.next().await.unwrap().is_ok());
        drop(sender);
        assert!(matches!(
            response.body.next().await,
            Some(Err(BodyError::Reset(8)))
        ));
        // The client drops the response: the server's producer is told.
        let told = Rc::new(Cell::new(false));
        let tell = told.clone();
        let endless = Rc::new(Call(move |_| {
            let tell = tell.clone();
            async move {
                let (sender, body) = Body::channel(1);
                spawn_local(async move {
                    while sender
                        .send(Frame::Data(Bytes::from_static(b"more")))
                        .await
                        .is_ok()
                    {
                        tokio::task::yield_now().await;
                    }
                    tell.set(true);
                });
                Response::new(StatusCode::OK, body)
            }
        }));
        let client = client_to(endless).await;
        drop(client.send(get("/")).await.unwrap());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(told.get() && client.active_streams() == 0);
    });
}

#[test]
fn a_drain_finishes_streams_and_marks_the_connection_closing() {
    run(async {
        let signal = DrainSignal::new();
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let released = RefCell::new(Some(released));
        let handler = Rc::new(Call(move |_| {
            let released = released.borrow_mut().take().unwrap();
            async move {
                released.await.unwrap();
                Response::new(StatusCode::OK, "done".into())
            }
        }));
        let (near, far) = duplex(1 << 16);
        let serving = serve_h2(far, handler, signal.subscribe());
        let client = connect(near).await;
        let other = client.clone();
        let sending = spawn_local(async move { other.send(get("/")).await });
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(client.is_ready());
        signal.drain();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(client.is_closing());
        let error = client.send(post("kept".into())).await.unwrap_err();
        assert!(matches!(error.kind, SendErrorKind::NotSent) && error.request.is_some());
        release.send(()).unwrap();
        assert_eq!(
            sending.await.unwrap().unwrap().body.collect(10).await.unwrap(),
            "done"
        );
        assert_eq!(serving.await.unwrap().unwrap().ended, Ended::Drained);
    });
}

/// The `h2` crate as a server that treats its first request like this.
async fn against(act: impl AsyncFnOnce(::h2::server::Connection<DuplexStream, Bytes>) + 'static) -> Client {
    let (near, far) = duplex(1 << 16);
    spawn_local(async move { act(::h2::server::handshake(far).await.unwrap()).await });
    connect(near).await
}

#[test]
fn refused_and_unprocessed_requests_are_given_back_whatever_their_method() {
    run(async {
        let refusing = against(async |mut conn| {
            let (_, mut respond) = conn.accept().await.unwrap().unwrap();
            respond.send_reset(::h2::Reason::REFUSED_STREAM);
            while conn.accept().await.is_some() {}
        });
        let error = refusing.await.send(post("kept".into())).await.unwrap_err();
        assert!(matches!(error.kind, SendErrorKind::NotSent), "{error:?}");
        assert_eq!(error.request.unwrap().body.collect(10).await.unwrap(), "kept");

        let resetting = against(async |mut conn| {
            let (_, mut respond) = conn.accept().await.unwrap().unwrap();
            respond.send_reset(::h2::Reason::INTERNAL_ERROR);
            while conn.accept().await.is_some() {}
        });
        let error = resetting.await.send(get("/")).await.unwrap_err();
        assert!(
            matches!(error.kind, SendErrorKind::Reset(2)) && error.request.is_none(),
            "{error:?}"
        );
    });
}

#[test]
fn a_goaway_gives_back_what_the_peer_did_not_take() {
    run(async {
        let (near, mut far) = duplex(1 << 16);
        let client = connect(near).await;
        let sending = spawn_local(async move { client.send(post("kept".into())).await });
        // SETTINGS, then GOAWAY with last stream 0, by hand.
        far.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
        far.read_exact(&mut [0; 24]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        far.write_all(b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0")
            .await
            .unwrap();
        let error = sending.await.unwrap().unwrap_err();
        assert!(
            matches!(error.kind, SendErrorKind::NotSent) && error.request.is_some(),
            "{error:?}"
        );
    });
}

#[test]
fn a_lost_connection_gives_back_only_what_is_harmless_to_repeat() {
    run(async {
        for (request, given_back) in [(get("/"), true), (post("x".into()), false)] {
            let client = against(async |mut conn| {
                let _ = conn.accept().await.unwrap().unwrap();
            });
            let error = client.await.send(request).await.unwrap_err();
            assert_eq!(error.request.is_some(), given_back, "{error:?}");
        }
    });
}

#[test]
fn streams_beyond_the_peers_limit_are_not_queued() {
    run(async {
        let (near, far) = duplex(1 << 16);
        let never = Rc::new(Call(|_| std::future::pending::<Response>()));
        let limits = Limits {
            max_streams: 2,
            ..Limits::default()
        };
        spawn_local(h2::serve(
            far,
            Bytes::new(),
            never,
            Rc::new(limits),
            Drain::never(),
        ));
        let client = connect(near).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(client.available_streams(), 2);
        for _ in 0..2 {
            let client = client.clone();
            spawn_local(async move { client.send(get("/")).await });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(!client.is_ready() && !client.is_closing());
        let error = client.send(get("/")).await.unwrap_err();
        assert!(matches!(error.kind, SendErrorKind::NotSent) && error.request.is_some());
    });
}

#[test]
fn a_peer_that_answers_no_ping_is_dead() {
    run(async {
        let (near, mut far) = duplex(1 << 16);
        let limits = Limits {
            ping_interval: Some(Duration::from_secs(5)),
            ..Limits::default()
        };
        let (_client, driver) = h2::connect(near, &limits).await.unwrap();
        let driving = spawn_local(driver);
        far.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
        assert!(matches!(driving.await.unwrap(), Err(DriveError::Dead)));
    });
}

#[test]
fn the_server_speaks_with_the_h2_crates_client() {
    run(async {
        let (near, far) = duplex(1 << 16);
        serve_h2(far, echo(), Drain::never());
        let (mut send, conn) = ::h2::client::handshake(near).await.unwrap();
        spawn_local(conn);
        let ask = |uri: &str| {
            http::Request::get(uri)
                .header("cookie", "a=1")
                .header("cookie", "b=2")
                .body(())
                .unwrap()
        };
        let response = send
            .send_request(ask("https://x/p"), true)
            .unwrap()
            .0
            .await
            .unwrap();
        assert_eq!(response.headers()["content-length"], "9");
        assert_eq!(response.into_body().data().await.unwrap().unwrap(), "GET x /p ");
        let mut conflicting = ask("https://x/p");
        conflicting.headers_mut().insert("host", "y".parse().unwrap());
        let refused = send.send_request(conflicting, true).unwrap().0.await.unwrap();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        let told = send
            .send_request(ask("https://x/still-there"), true)
            .unwrap()
            .0
            .await
            .unwrap();
        assert_eq!(told.status(), StatusCode::OK);
    });
}

#[test]
fn many_small_messages_to_a_slow_reader_do_not_cost_the_connection() {
    run(async {
        let handler = Rc::new(Call(|_| async {
            let (sender, body) = Body::channel(64);
            spawn_local(async move {
                for _ in 0..20_000 {
                    sender
                        .send(Frame::Data(Bytes::from_static(b"small")))
                        .await
                        .unwrap();
                }
                sender.finish();
            });
            Response::new(StatusCode::OK, body)
        }));
        let client = client_to(handler).await;
        let response = client.send(get("/")).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(response.body.collect(1 << 20).await.unwrap().len(), 100_000);
        assert!(client.is_ready());
    });
}

#[test]
fn many_requests_at_once_share_few_writes() {
    run(async {
        let (near, far) = duplex(1 << 20);
        let (up, down) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let kilobyte = Rc::new(Call(|_| async {
            Response::new(StatusCode::OK, Bytes::from(vec![0; 1024]).into())
        }));
        serve_h2(Counting(far, down.clone()), kilobyte, Drain::never());
        let client = connect(Counting(near, up.clone())).await;
        client
            .send(get("/"))
            .await
            .unwrap()
            .body
            .collect(2000)
            .await
            .unwrap();
        up.set(0);
        down.set(0);
        let all: Vec<_> = (0..32)
            .map(|_| {
                let client = client.clone();
                spawn_local(async move {
                    client
                        .send(get("/"))
                        .await
                        .unwrap()
                        .body
                        .collect(2000)
                        .await
                        .unwrap()
                        .len()
                })
            })
            .collect();
        for one in all {
            assert_eq!(one.await.unwrap(), 1024);
        }
        assert!(
            up.get() <= 3 && down.get() <= 3,
            "{} writes up and {} down for 32 requests",
            up.get(),
            down.get()
        );
    });
}
