//! The two HTTP/1 roles back to back, as a proxy has them.
#![allow(clippy::unwrap_used)]

mod support;

use std::cell::RefCell;
use std::rc::Rc;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::task::spawn_local;
use wattle_http::h1::Client;
use wattle_http::{Drain, Limits, Request};

/// A proxy over two in-memory pipes: bytes in, what the server behind it saw out, and its answer passed back.
async fn proxied(request: &[u8], response: &[u8]) -> (String, String) {
    let (upstream, mut server) = duplex(1 << 16);
    let upstream = RefCell::new(Some(upstream));
    let handler = Rc::new(Call(move |request: Request| {
        let io = upstream.borrow_mut().take().unwrap();
        async move {
            Client::new(io, Rc::new(Limits::default()), None)
                .send(request)
                .await
                .unwrap()
        }
    }));
    let (mut near, _serving) = serve(handler, Limits::default(), Drain::never());
    near.write_all(request).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < request.len() {
        let n = server.read_buf(&mut seen).await.unwrap();
        assert!(n > 0);
    }
    server.write_all(response).await.unwrap();
    let mut passed = Vec::new();
    while passed.len() < response.len() {
        let n = near.read_buf(&mut passed).await.unwrap();
        assert!(n > 0);
    }
    (
        String::from_utf8(seen).unwrap(),
        String::from_utf8(passed).unwrap(),
    )
}

#[test]
fn heads_pass_through_byte_for_byte() {
    let request = "POST /a?b=%20<c> HTTP/1.1\r\nuser-AGENT: curl\r\nAccept: */*\r\nhOSt: x:80\r\nX-One: 1\r\nx-two: 2\r\nX-oNE: 3\r\nContent-LENGTH: 2\r\nConnection: keep-alive\r\n\r\nhi";
    let response = "HTTP/1.1 299 Fine Indeed\r\nSet-Cookie: a\r\nSERVER: s\r\nset-COOKIE: b\r\nTransfer-encoding: chunked\r\nX-Last: z\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    run(async {
        let (seen, passed) = proxied(request.as_bytes(), response.as_bytes()).await;
        assert_eq!(seen, request);
        assert_eq!(passed, response);
    });
}

#[test]
fn a_tunnel_passes_both_ways_through_a_proxy_with_half_close() {
    run(async {
        let (upstream, mut server) = duplex(1 << 16);
        let upstream = RefCell::new(Some(upstream));
        let handler = Rc::new(Call(move |request: Request| {
            let io = upstream.borrow_mut().take().unwrap();
            async move {
                Client::new(io, Rc::new(Limits::default()), None)
                    .send(request)
                    .await
                    .unwrap()
            }
        }));
        let (mut near, serving) = serve(handler, Limits::default(), Drain::never());
        near.write_all(b"CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\nhello")
            .await
            .unwrap();
        assert_eq!(
            read_until(&mut server, "\r\n\r\n").await,
            "CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n"
        );
        server.write_all(b"HTTP/1.1 200 OK\r\n\r\nbanner").await.unwrap();
        assert_eq!(
            read_until(&mut near, "banner").await,
            "HTTP/1.1 200 OK\r\n\r\nbanner"
        );
        read_until(&mut server, "hello").await;
        // The server ends first; the client's direction goes on until it ends too.
        server.shutdown().await.unwrap();
        assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0);
        near.write_all(b"more").await.unwrap();
        read_until(&mut server, "more").await;
        near.shutdown().await.unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(serving.await.unwrap().unwrap().ended, wattle_http::Ended::Tunnel);
    });
}

#[test]
fn an_upload_does_not_wait_for_a_client_that_reads_late() {
    run(async {
        let (upstream, mut server) = duplex(256);
        let upstream = RefCell::new(Some(upstream));
        let handler = Rc::new(Call(move |request: Request| {
            let io = upstream.borrow_mut().take().unwrap();
            async move {
                Client::new(io, Rc::new(Limits::default()), None)
                    .send(request)
                    .await
                    .unwrap()
            }
        }));
        let (near, _serving) = serve_with(handler, Limits::default(), Drain::never(), 256);
        let (mut reader, mut writer) = tokio::io::split(near);
        writer
            .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n")
            .await
            .unwrap();
        read_until(&mut server, "\r\n\r\n").await;
        let (mut from_proxy, mut to_proxy) = tokio::io::split(server);
        let answering = spawn_local(async move {
            to_proxy
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n")
                .await
                .unwrap();
            to_proxy.write_all(&[b'd'; 50_000]).await.unwrap();
            to_proxy
        });
        let uploading = spawn_local(async move {
            writer.write_all(&[b'u'; 50_000]).await.unwrap();
            writer
        });
        // Nobody reads the response until the upload has come through.
        let mut uploaded = vec![0; 50_000];
        from_proxy.read_exact(&mut uploaded).await.unwrap();
        let _writer = uploading.await.unwrap();
        let mut all = vec![0; 50_000];
        reader.read_exact(&mut all).await.unwrap();
        let mut rest = Vec::new();
        while rest.len() + all.len() < 50_000 + 42 {
            assert!(reader.read_buf(&mut rest).await.unwrap() > 0);
        }
        answering.await.unwrap();
    });
}
