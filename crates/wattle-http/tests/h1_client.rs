//! The HTTP/1 client against scripted servers, and the two roles back to back as a proxy has them.
#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use http::{Method, StatusCode};
use std::cell::RefCell;
use std::rc::Rc;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::spawn_local;
use wattle_http::h1::{Checkin, Client};
use wattle_http::{
    Body, BodyError, Drain, Frame, Limits, ParseError, Request, RequestHead, Response, SendError,
    SendErrorKind, Spelling, h1,
};

#[derive(Default)]
struct Pool(RefCell<Vec<Client>>);

impl Checkin for Pool {
    fn check_in(&self, client: Client) {
        self.0.borrow_mut().push(client);
    }
}

fn client() -> (Client, DuplexStream, Rc<Pool>) {
    let (near, far) = duplex(1 << 16);
    let pool = Rc::new(Pool::default());
    (
        Client::new(near, Rc::new(Limits::default()), Some(pool.clone())),
        far,
        pool,
    )
}

fn get() -> Request {
    Request::new(RequestHead::new(Method::GET, "x", "/"), Body::Empty)
}

fn post(body: Body) -> Request {
    Request::new(RequestHead::new(Method::POST, "x", "/"), body)
}

async fn answer(response: &'static str) -> (Result<Response, SendError>, Rc<Pool>, DuplexStream) {
    let (client, mut server, pool) = client();
    let sending = spawn_local(client.send(get()));
    read_until(&mut server, "\r\n\r\n").await;
    server.write_all(response.as_bytes()).await.unwrap();
    (sending.await.unwrap(), pool, server)
}

#[test]
fn a_response_read_to_its_end_gives_the_connection_back() {
    let reusable = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "hi",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", ""),
        (
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "",
        ),
        (
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
            "",
        ),
    ];
    for (response, body) in reusable {
        run(async {
            let (result, pool, _server) = answer(response).await;
            assert_eq!(result.unwrap().body.collect(100).await.unwrap(), body);
            assert_eq!(pool.0.borrow().len(), 1, "{response:?}");
            assert!(pool.0.borrow_mut()[0].is_open());
        });
    }
}

#[test]
fn a_connection_that_cannot_serve_again_is_closed() {
    let closing = [
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
            "hi",
        ),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n",
            "hi",
        ),
    ];
    for (response, body) in closing {
        run(async {
            let (result, pool, _server) = answer(response).await;
            assert_eq!(result.unwrap().body.collect(100).await.unwrap(), body);
            assert!(pool.0.borrow().is_empty(), "{response:?}");
        });
    }
    run(async {
        let (result, pool, server) = answer("HTTP/1.1 200 OK\r\n\r\nuntil close").await;
        drop(server);
        assert_eq!(result.unwrap().body.collect(100).await.unwrap(), "until close");
        assert!(pool.0.borrow().is_empty());
    });
}

#[test]
fn refuses_responses_that_peers_could_read_differently() {
    let refused = [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
            ParseError::LengthAndEncoding,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
            ParseError::LengthConflict,
        ),
        ("HTTP/1.1 200 OK\r\nX : y\r\n\r\n", ParseError::HeaderName),
        ("HTTP/1.1 200 OK\r\nX: y\n\r\n", ParseError::BareLineFeed),
        ("HTTP/1.1 20 OK\r\n\r\n", ParseError::StartLine),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", ParseError::StartLine),
        ("SSH-2.0-OpenSSH\r\n", ParseError::Version),
    ];
    for (response, expected) in refused {
        run(async {
            let error = answer(response).await.0.unwrap_err();
            assert!(
                matches!(error.kind, SendErrorKind::Parse(found) if found == expected),
                "{response:?} gave {error:?}"
            );
        });
    }
}

#[test]
fn a_stale_connection_gives_the_request_back() {
    run(async {
        let (client, mut server, pool) = client();
        let first = spawn_local(client.send(get()));
        read_until(&mut server, "\r\n\r\n").await;
        server
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await
            .unwrap();
        first.await.unwrap().unwrap();
        let client = pool.0.borrow_mut().pop().unwrap();
        let again = spawn_local(client.send(get()));
        read_until(&mut server, "\r\n\r\n").await;
        drop(server);
        let error = again.await.unwrap().unwrap_err();
        assert!(matches!(error.kind, SendErrorKind::ClosedBeforeResponse) && error.reused);
        assert_eq!(error.request.unwrap().head.method, Method::GET);
    });
}

#[test]
fn a_request_that_may_have_taken_effect_is_not_given_back() {
    run(async {
        let (client, mut server, _) = client();
        let sending = spawn_local(client.send(post("hi".into())));
        read_until(&mut server, "hi").await;
        drop(server);
        let error = sending.await.unwrap().unwrap_err();
        assert!(
            matches!(error.kind, SendErrorKind::ClosedBeforeResponse) && error.request.is_none(),
            "{error:?}"
        );
    });
}

#[test]
fn a_request_nothing_was_taken_of_is_given_back_whatever_its_method() {
    run(async {
        let (mut client, server, _) = client();
        drop(server);
        assert!(!client.is_open());
        let error = client.send(post("hi".into())).await.unwrap_err();
        assert!(matches!(error.kind, SendErrorKind::NotSent), "{error:?}");
        assert_eq!(error.request.unwrap().body.collect(10).await.unwrap(), "hi");
    });
}

#[test]
fn an_idle_connection_with_unasked_bytes_is_not_open() {
    run(async {
        let (mut client, mut server, _) = client();
        assert!(client.is_open());
        server
            .write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
            .await
            .unwrap();
        assert!(!client.is_open());
    });
}

#[test]
fn an_early_response_is_read_while_the_body_is_being_sent() {
    run(async {
        let (client, mut server, pool) = client();
        let (sender, body) = Body::channel(1);
        let sending = spawn_local(client.send(post(body)));
        read_until(&mut server, "\r\n\r\n").await;
        server
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
            .await
            .unwrap();
        let mut response = sending.await.unwrap().unwrap();
        assert_eq!(
            response.body.next().await.unwrap().unwrap(),
            Frame::Data(Bytes::from_static(b"ab"))
        );
        sender
            .send(Frame::Data(Bytes::from_static(b"late")))
            .await
            .unwrap();
        sender.finish();
        let rest = spawn_local(async move { response.body.collect(10).await });
        read_until(&mut server, "4\r\nlate\r\n0\r\n\r\n").await;
        server.write_all(b"cd").await.unwrap();
        assert_eq!(rest.await.unwrap().unwrap(), "cd");
        assert_eq!(pool.0.borrow().len(), 1);
    });
}

#[test]
fn a_refusal_is_read_although_the_body_can_no_longer_be_sent() {
    run(async {
        let (near, far) = duplex(64);
        let client = Client::new(near, Rc::new(Limits::default()), None);
        let sending = spawn_local(client.send(post(Bytes::from(vec![0; 100_000]).into())));
        let (mut reader, mut writer) = tokio::io::split(far);
        let mut some = [0; 32];
        reader.read_exact(&mut some).await.unwrap();
        writer
            .write_all(b"HTTP/1.1 413 Content Too Large\r\n\r\n")
            .await
            .unwrap();
        writer.shutdown().await.unwrap();
        let response = sending.await.unwrap().unwrap();
        assert_eq!(response.head.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(response.head.reason.as_deref(), Some(&b"Content Too Large"[..]));
    });
}

#[test]
fn a_broken_response_body_is_an_error() {
    let broken = [
        "Content-Length: 5\r\n\r\nhi",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhi",
        "Transfer-Encoding: chunked\r\n\r\nx",
    ];
    for rest in broken {
        run(async move {
            let response: &'static str = format!("HTTP/1.1 200 OK\r\n{rest}").leak();
            let (result, pool, server) = answer(response).await;
            drop(server);
            let error = result.unwrap().body.collect(100).await.unwrap_err();
            assert!(
                matches!(error, BodyError::Closed | BodyError::Parse(_)),
                "{error:?}"
            );
            assert!(pool.0.borrow().is_empty());
        });
    }
}

#[test]
fn a_body_that_waits_for_100_is_sent_on_100_and_after_a_while_without() {
    for interim in ["HTTP/1.1 100 Continue\r\n\r\n", ""] {
        run(async move {
            let (client, mut server, _) = client();
            let mut request = post("hi".into());
            request
                .head
                .headers
                .insert("expect", "100-continue".parse().unwrap());
            let _sending = spawn_local(client.send(request));
            read_until(&mut server, "\r\n\r\n").await;
            server.write_all(interim.as_bytes()).await.unwrap();
            read_until(&mut server, "hi").await;
        });
    }
}

#[test]
fn a_spelling_survives_its_header_value_and_nothing_else_does() {
    for (value, valid) in [
        (":l", true),
        (":t", true),
        ("Host,X-a,Host", true),
        ("", false),
        ("a,,b", false),
        ("a b", false),
        ("a:b", false),
        (",", false),
    ] {
        let value = http::HeaderValue::from_static(value);
        let spelling = Spelling::from_header_value(&value);
        assert_eq!(spelling.is_some(), valid, "{value:?}");
        if let Some(spelling) = spelling {
            assert_eq!(spelling.to_header_value(), value);
        }
    }
    let many = http::HeaderValue::from_str(&["a"; 65].join(",")).unwrap();
    assert!(Spelling::from_header_value(&many).is_none());
}

#[test]
fn a_simple_fetch_reads_within_its_bound() {
    run(async {
        let (near, far) = duplex(1 << 16);
        spawn_local(h1::serve(
            far,
            Bytes::new(),
            echo(),
            Rc::new(Limits::default()),
            Drain::never(),
        ));
        let head = RequestHead::new(Method::PUT, "admin", "/drain");
        let (head, body) = wattle_http::client_simple::fetch(near, head, Bytes::from_static(b"now"), 100)
            .await
            .unwrap();
        assert_eq!(
            (head.status, &body[..]),
            (StatusCode::OK, &b"PUT admin /drain now"[..])
        );
    });
}

#[test]
fn a_body_that_waits_for_100_follows_a_success_and_not_a_refusal() {
    for (status, sent) in [("200 OK", true), ("417 Expectation Failed", false)] {
        run(async move {
            let (client, mut server, pool) = client();
            let mut request = post("hi".into());
            request
                .head
                .headers
                .insert("expect", "100-continue".parse().unwrap());
            let sending = spawn_local(client.send(request));
            read_until(&mut server, "\r\n\r\n").await;
            server
                .write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n").as_bytes())
                .await
                .unwrap();
            let response = sending.await.unwrap().unwrap();
            let reading = spawn_local(async move { response.body.collect(10).await });
            let mut seen = [0; 2];
            if sent {
                server.read_exact(&mut seen).await.unwrap();
            }
            server.write_all(b"ok").await.unwrap();
            assert_eq!(reading.await.unwrap().unwrap(), "ok");
            assert_eq!((&seen == b"hi", pool.0.borrow().len()), (sent, usize::from(sent)));
        });
    }
}
