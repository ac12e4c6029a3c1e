//! The HTTP/1 server, spoken to in bytes.
#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use http::StatusCode;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wattle_http::{
    Body, BodyError, Drain, DrainSignal, Ended, Frame, Limits, Request, Response, ServeError, Served,
};

#[test]
fn answers_a_request_in_one_write_and_keeps_the_connection() {
    run(async {
        let (mut stream, serving) = serve(echo(), Limits::default(), Drain::never());
        for _ in 0..2 {
            stream
                .write_all(b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap();
            let answer = read_until(&mut stream, "GET x /a?b ").await;
            assert_eq!(answer, "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nGET x /a?b ");
        }
        drop(stream);
        assert_eq!(
            serving.await.unwrap().unwrap(),
            Served {
                requests: 2,
                ended: Ended::Closed
            }
        );
    });
}

#[test]
fn a_request_and_its_response_cost_one_write_on_each_side() {
    run(async {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (up, down) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (limits, far) = (Rc::new(Limits::default()), Counting(far, down.clone()));
        let _serving = tokio::task::spawn_local(wattle_http::h1::serve(
            far,
            Bytes::new(),
            echo(),
            limits,
            Drain::never(),
        ));
        let client =
            wattle_http::h1::Client::new(Counting(near, up.clone()), Rc::new(Limits::default()), None);
        let head = wattle_http::RequestHead::new(http::Method::POST, "x", "/");
        let response = client
            .send(Request::new(head, Bytes::from(vec![b'a'; 4000]).into()))
            .await
            .unwrap();
        assert_eq!(response.body.collect(10_000).await.unwrap().len(), 4009);
        assert_eq!((up.get(), down.get()), (1, 1));
    });
}

#[test]
fn a_connection_takes_little_memory() {
    let (near, _far) = tokio::io::duplex(64);
    let serving = wattle_http::h1::serve(
        near,
        Bytes::new(),
        echo(),
        Rc::new(Limits::default()),
        Drain::never(),
    );
    assert!(size_of_val(&serving) < 3072, "{} bytes", size_of_val(&serving));
    assert!(size_of::<Body>() <= 80, "{} bytes", size_of::<Body>());
    assert!(size_of::<Request>() <= 352, "{} bytes", size_of::<Request>());
}

#[test]
fn answers_pipelined_requests_in_order() {
    run(async {
        let answer = talk(echo(), &[b"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"]).await;
        let (first, second) = (
            answer.find("POST x /1 abc").unwrap(),
            answer.find("GET x /2 ").unwrap(),
        );
        assert!(first < second, "{answer}");
    });
}

#[test]
fn keeps_http_1_0_alive_only_when_asked() {
    run(async {
        let closing = talk(echo(), &[b"GET / HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n"]).await;
        assert!(
            closing.contains("connection: close\r\n") && !closing.contains("/2"),
            "{closing}"
        );
        let kept = talk(
            echo(),
            &[b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n"],
        )
        .await;
        assert!(
            kept.contains("Connection: keep-alive\r\n") || kept.contains("connection: keep-alive\r\n"),
            "{kept}"
        );
        assert!(kept.contains("/2"), "{kept}");
    });
}

#[test]
fn sends_a_body_of_unknown_length_chunked_or_until_close() {
    let handler = || {
        Rc::new(Call(|_| async {
            let (sender, body) = Body::channel(4);
            sender
                .try_send(Frame::Data(Bytes::from_static(b"hello")))
                .unwrap();
            sender
                .try_send(Frame::Data(Bytes::from_static(b"world!world!world!")))
                .unwrap();
            sender.finish();
            Response::new(StatusCode::OK, body)
        }))
    };
    run(async {
        let new = talk(handler(), &[b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]).await;
        assert!(
            new.ends_with(
                "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n12\r\nworld!world!world!\r\n0\r\n\r\n"
            ),
            "{new}"
        );
        let old = talk(handler(), &[b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"]).await;
        assert!(
            old.ends_with("connection: close\r\n\r\nhelloworld!world!world!"),
            "{old}"
        );
    });
}

#[test]
fn passes_trailers_both_ways() {
    run(async {
        let handler = Rc::new(Call(|mut request: Request| async move {
            let mut trailers = None;
            while let Some(frame) = request.body.next().await {
                if let Frame::Trailers(found) = frame.unwrap() {
                    trailers = Some(found);
                }
            }
            let (sender, body) = Body::channel(2);
            sender.try_send(Frame::Trailers(trailers.unwrap())).unwrap();
            sender.finish();
            Response::new(StatusCode::OK, body)
        }));
        let sent = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n";
        let answer = talk(handler, &[sent]).await;
        assert!(answer.ends_with("0\r\nx-sum: 1\r\n\r\n"), "{answer}");
    });
}

#[test]
fn sends_100_only_when_the_body_is_asked_for() {
    run(async {
        let ask = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        let (mut stream, _serving) = serve(echo(), Limits::default(), Drain::never());
        stream.write_all(ask).await.unwrap();
        assert_eq!(
            read_until(&mut stream, "\r\n\r\n").await,
            "HTTP/1.1 100 Continue\r\n\r\n"
        );
        stream.write_all(b"hi").await.unwrap();
        read_until(&mut stream, "POST x / hi").await;

        let refusing = Rc::new(Call(|_| async {
            Response::new(StatusCode::FORBIDDEN, Body::Empty)
        }));
        let (mut stream, serving) = serve(refusing, Limits::default(), Drain::never());
        stream.write_all(ask).await.unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        assert_eq!(
            all,
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        drop(stream);
        serving.await.unwrap().unwrap();
    });
}

#[test]
fn omits_the_body_where_there_is_none_but_keeps_its_length() {
    run(async {
        let handler = Rc::new(Call(|request: Request| async move {
            let status = if request.head.method == http::Method::HEAD {
                200
            } else {
                304
            };
            let mut response = Response::new(StatusCode::from_u16(status).unwrap(), "never sent".into());
            response
                .head
                .headers
                .insert("content-length", "10".parse().unwrap());
            response
        }));
        let answer = talk(
            handler,
            &[b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"],
        )
        .await;
        let expected = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nHTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n";
        assert_eq!(answer, expected);
    });
}

#[test]
fn a_body_shorter_than_announced_cuts_the_connection() {
    run(async {
        let handler = Rc::new(Call(|mut request: Request| async move {
            assert!(matches!(request.body.next().await, Some(Ok(Frame::Data(_)))));
            assert!(matches!(request.body.next().await, Some(Err(BodyError::Closed))));
            Response::new(StatusCode::OK, Body::Empty)
        }));
        let answer = talk(
            handler,
            &[b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc"],
        )
        .await;
        assert!(answer.contains("connection: close"), "{answer}");
    });
}

#[test]
fn reads_past_a_small_unread_body_and_closes_on_a_large_one() {
    let ignoring = || Rc::new(Call(|_| async { Response::new(StatusCode::OK, Body::Empty) }));
    run(async {
        let small =
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcdePOST / HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(talk(ignoring(), &[small]).await.matches("200 OK").count(), 2);
        let large = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\nabcde";
        let (mut stream, serving) = serve(ignoring(), Limits::default(), Drain::never());
        stream.write_all(large).await.unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        assert_eq!(all.matches("200 OK").count(), 1);
        drop(stream);
        serving.await.unwrap().unwrap();
    });
}

#[test]
fn a_drain_finishes_the_request_in_work_and_closes_an_idle_connection() {
    run(async {
        let signal = DrainSignal::new();
        let (idle, serving) = serve(echo(), Limits::default(), signal.subscribe());
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let released = RefCell::new(Some(released));
        let slow = Rc::new(Call(move |_| {
            let released = released.borrow_mut().take().unwrap();
            async move {
                released.await.unwrap();
                Response::new(StatusCode::OK, "done".into())
            }
        }));
        let (mut busy, serving_busy) = serve(slow, Limits::default(), signal.subscribe());
        busy.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        tokio::time::advance(Duration::from_millis(1)).await;
        signal.drain();
        assert_eq!(serving.await.unwrap().unwrap().ended, Ended::Drained);
        drop(idle);
        release.send(()).unwrap();
        let answer = read_until(&mut busy, "done").await;
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        drop(busy);
        assert_eq!(serving_busy.await.unwrap().unwrap().ended, Ended::Drained);
    });
}

#[test]
fn an_upgrade_is_a_raw_tunnel_with_half_close() {
    run(async {
        let handler = Rc::new(Call(|mut request: Request| async move {
            assert!(request.head.asks_for_upgrade());
            let (sender, body) = Body::channel(1);
            tokio::task::spawn_local(async move {
                while let Some(Ok(Frame::Data(data))) = request.body.next().await {
                    sender.send(Frame::Data(data)).await.unwrap();
                }
                sender
                    .send(Frame::Data(Bytes::from_static(b"bye")))
                    .await
                    .unwrap();
                sender.finish();
            });
            let mut response = Response::new(StatusCode::SWITCHING_PROTOCOLS, body);
            wattle_http::restore_upgrade(&mut response.head.headers, "echo".parse().unwrap());
            response
        }));
        let (mut stream, serving) = serve(handler, Limits::default(), Drain::never());
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly")
            .await
            .unwrap();
        let head = read_until(&mut stream, "early").await;
        assert!(
            head.starts_with(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n"
            ),
            "{head}"
        );
        stream.write_all(b"later").await.unwrap();
        read_until(&mut stream, "later").await;
        stream.shutdown().await.unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "bye");
        assert_eq!(serving.await.unwrap().unwrap().ended, Ended::Tunnel);
    });
}

#[test]
fn a_refused_upgrade_leaves_an_ordinary_connection() {
    run(async {
        let handler = Rc::new(Call(|mut request: Request| async move {
            let response = Response::new(StatusCode::FORBIDDEN, Body::Empty);
            tokio::task::spawn_local(async move {
                assert!(request.body.next().await.is_none_or(|frame| frame.is_err()))
            });
            response
        }));
        let ask = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
        assert_eq!(
            talk(handler, &[ask, ask]).await.matches("403 Forbidden").count(),
            2
        );
    });
}

#[test]
fn a_client_that_goes_away_ends_the_work_for_it() {
    run(async {
        struct Told(Rc<Cell<bool>>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.set(true);
            }
        }
        let dropped = Rc::new(Cell::new(false));
        let told = dropped.clone();
        let never = Rc::new(Call(move |_| {
            let told = Told(told.clone());
            async move {
                let _told = told;
                std::future::pending::<Response>().await
            }
        }));
        let (mut stream, serving) = serve(never, Limits::default(), Drain::never());
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!dropped.get());
        drop(stream);
        assert!(matches!(serving.await.unwrap(), Err(ServeError::Aborted)));
        assert!(dropped.get());
    });
}

#[test]
fn an_unread_body_stops_the_client() {
    run(async {
        let never = Rc::new(Call(|_| std::future::pending::<Response>()));
        let (mut stream, _serving) = serve_with(never, Limits::default(), Drain::never(), 1024);
        stream
            .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
            .await
            .unwrap();
        let mut sent = 0;
        let wait = Duration::from_secs(1);
        while let Ok(written) = tokio::time::timeout(wait, stream.write(&[0; 512])).await {
            sent += written.unwrap();
        }
        assert!(sent <= 2048, "{sent} bytes were taken that nobody read");
    });
}

#[test]
fn a_slow_head_is_refused_and_an_idle_connection_closed() {
    run(async {
        let (mut stream, serving) = serve(echo(), Limits::default(), Drain::never());
        stream.write_all(b"GET / HT").await.unwrap();
        let answer = read_until(&mut stream, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        drop(stream);
        assert!(matches!(
            serving.await.unwrap(),
            Err(ServeError::Refused(wattle_http::ParseError::HeadTimeout))
        ));
        let (stream, serving) = serve(echo(), Limits::default(), Drain::never());
        assert_eq!(serving.await.unwrap().unwrap().ended, Ended::Idle);
        drop(stream);
    });
}

#[test]
fn a_body_that_stops_is_refused_and_one_that_goes_on_slowly_is_not() {
    let head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na";
    run(async {
        let (mut stream, _serving) = serve(echo(), Limits::default(), Drain::never());
        stream.write_all(head).await.unwrap();
        let answer = read_until(&mut stream, "stopped for too long").await;
        assert!(answer.starts_with("HTTP/1.1 418 "), "{answer}");
    });
    run(async {
        let (mut stream, _serving) = serve(echo(), Limits::default(), Drain::never());
        stream.write_all(head).await.unwrap();
        for piece in [b"b", b"c"] {
            tokio::time::sleep(Duration::from_secs(299)).await;
            stream.write_all(piece).await.unwrap();
        }
        let answer = read_until(&mut stream, "abc").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    });
}

#[test]
fn an_upgrade_to_http2_in_the_clear_is_an_ordinary_request() {
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n";
    let answer = run(async {
        let (mut stream, _serving) = serve(echo(), Limits::default(), Drain::never());
        stream.write_all(request.as_bytes()).await.unwrap();
        read_until(&mut stream, "GET x / ").await
    });
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn what_is_refused_does_not_depend_on_how_it_is_cut() {
    let target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(70_000));
    assert!(run(talk(echo(), &[target.as_bytes()])).starts_with("HTTP/1.1 414 "));
    let (start, rest) = target.as_bytes().split_at(30_000);
    assert!(run(talk(echo(), &[start, rest])).starts_with("HTTP/1.1 414 "));
}

#[test]
fn empty_lines_are_borne_only_so_long() {
    run(async {
        let (mut stream, serving) = serve(echo(), Limits::default(), Drain::never());
        for _ in 0..9 {
            stream.write_all(b"\r\n").await.unwrap();
            tokio::task::yield_now().await;
        }
        let answer = read_until(&mut stream, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        drop(stream);
        assert!(serving.await.unwrap().is_err());
    });
    let many = "\r\n".repeat(9) + "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert!(run(talk(echo(), &[many.as_bytes()])).starts_with("HTTP/1.1 400 "));
}

#[test]
fn interim_responses_are_forwarded() {
    run(async {
        let handler = Rc::new(Call(|request: Request| async move {
            let mut hints = wattle_http::ResponseHead::new(StatusCode::EARLY_HINTS);
            hints.headers.insert("link", "</a.css>".parse().unwrap());
            request.informational.send(&hints);
            Response::new(StatusCode::OK, Body::Empty)
        }));
        let answer = talk(handler, &[b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]).await;
        assert!(
            answer.starts_with("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\n"),
            "{answer}"
        );
    });
}

#[test]
fn bytes_sent_into_a_refused_tunnel_are_not_a_request() {
    run(async {
        let refusing = Rc::new(Call(|_| async {
            Response::new(StatusCode::FORBIDDEN, Body::Empty)
        }));
        let answer = talk(
            refusing,
            &[b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"],
        )
        .await;
        assert_eq!(answer.matches("403 Forbidden").count(), 1, "{answer}");
    });
}

#[test]
fn an_upgrade_with_a_body_is_an_ordinary_request() {
    run(async {
        let handler = Rc::new(Call(|request: Request| async move {
            assert!(!request.head.asks_for_upgrade());
            Response::new(StatusCode::OK, request.body.collect(10).await.unwrap().into())
        }));
        let ask = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(talk(handler, &[ask, ask]).await.matches("\r\n\r\nhi").count(), 2);
    });
}
