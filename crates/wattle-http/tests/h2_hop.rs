//! HTTP/2 as the hop between two HTTP/1 sides: nobody at either end can tell.
#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use std::cell::RefCell;
use std::rc::Rc;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::spawn_local;
use wattle_http::h2::Client;
use wattle_http::{Drain, Handler, Limits, Request, Spelling, h1, h2};

async fn client_to<H: Handler + 'static>(handler: Rc<H>) -> Client {
    let (near, far) = duplex(1 << 16);
    spawn_local(h2::serve(
        far,
        Bytes::new(),
        handler,
        Rc::new(Limits::default()),
        Drain::never(),
    ));
    let (client, driver) = h2::connect(near, &Limits::default()).await.unwrap();
    spawn_local(driver);
    client
}

/// HTTP/1 in, HTTP/2 between, HTTP/1 out; the spelling travels in a header.
async fn hop(server: DuplexStream) -> DuplexStream {
    let server = RefCell::new(Some(server));
    let inbound = Rc::new(Call(move |mut request: Request| {
        let io = server.borrow_mut().take().unwrap();
        async move {
            let spelling = request.head.headers.remove("spelling").unwrap();
            request.head.spelling = Spelling::from_header_value(&spelling).unwrap();
            let mut response = h1::Client::new(io, Rc::new(Limits::default()), None)
                .send(request)
                .await
                .unwrap();
            let spelling = response.head.spelling.to_header_value();
            response.head.headers.insert("spelling", spelling);
            response
        }
    }));
    let client = client_to(inbound).await;
    let outbound = Rc::new(Call(move |mut request: Request| {
        let client = client.clone();
        async move {
            let upgrade = wattle_http::strip_hop_by_hop(&mut request.head.headers).upgrade;
            if let Some(upgrade) = upgrade {
                wattle_http::restore_upgrade(&mut request.head.headers, upgrade);
            }
            let spelling = request.head.spelling.to_header_value();
            request.head.headers.insert("spelling", spelling);
            let mut response = client.send(request).await.unwrap();
            let spelling = response.head.headers.remove("spelling").unwrap();
            response.head.spelling = Spelling::from_header_value(&spelling).unwrap();
            response
        }
    }));
    serve(outbound, Limits::default(), Drain::never()).0
}

#[test]
fn heads_pass_the_hop_byte_for_byte() {
    run(async {
        let request = "POST /p HTTP/1.1\r\nX-a: 1\r\nHost: x\r\nACCEPT: */*\r\nx-A: 2\r\nTransfer-Encoding: chunked\r\nuser-agent: z\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
        let response = "HTTP/1.1 404 Not Found\r\nSERVER: s\r\nContent-length: 2\r\nSet-Cookie: a\r\nDate: d\r\nSet-cookie: b\r\n\r\nno";
        let (near, mut server) = duplex(1 << 16);
        let mut client = hop(near).await;
        client.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(read_until(&mut server, "0\r\n\r\n").await, request);
        server.write_all(response.as_bytes()).await.unwrap();
        assert_eq!(read_until(&mut client, "\r\n\r\nno").await, response);
    });
}

#[test]
fn a_websocket_passes_the_hop_as_extended_connect() {
    run(async {
        let (near, mut server) = duplex(1 << 16);
        let mut client = hop(near).await;
        client.write_all(b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n").await.unwrap();
        let seen = read_until(&mut server, "\r\n\r\n").await;
        assert_eq!(
            seen,
            "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
        );
        server.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\nfirst").await.unwrap();
        let head = read_until(&mut client, "first").await;
        assert!(
            head.starts_with("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"),
            "{head}"
        );
        client.write_all(b"up").await.unwrap();
        read_until(&mut server, "up").await;
        server.write_all(b"down").await.unwrap();
        read_until(&mut client, "down").await;
        client.shutdown().await.unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
        server.write_all(b"last").await.unwrap();
        read_until(&mut client, "last").await;
        server.shutdown().await.unwrap();
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn a_refused_websocket_passes_the_hop_as_what_it_is() {
    run(async {
        let (near, mut server) = duplex(1 << 16);
        let mut client = hop(near).await;
        client
            .write_all(b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .await
            .unwrap();
        read_until(&mut server, "\r\n\r\n").await;
        let response = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain";
        server.write_all(response.as_bytes()).await.unwrap();
        assert_eq!(read_until(&mut client, "plain").await, response);
    });
}

#[test]
fn a_connect_tunnel_passes_the_hop() {
    run(async {
        let (near, mut server) = duplex(1 << 16);
        let mut client = hop(near).await;
        client
            .write_all(b"CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\nhello")
            .await
            .unwrap();
        read_until(&mut server, "\r\n\r\n").await;
        server.write_all(b"HTTP/1.1 200 OK\r\n\r\nbanner").await.unwrap();
        assert_eq!(
            read_until(&mut client, "banner").await,
            "HTTP/1.1 200 OK\r\n\r\nbanner"
        );
        read_until(&mut server, "hello").await;
        client.shutdown().await.unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn interim_responses_pass_the_hop() {
    run(async {
        let (near, mut server) = duplex(1 << 16);
        let mut client = hop(near).await;
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        read_until(&mut server, "\r\n\r\n").await;
        server
            .write_all(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(
            read_until(&mut client, "\r\n\r\n").await,
            "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n"
        );
        server
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
            .await
            .unwrap();
        read_until(&mut client, "done").await;
    });
}

#[test]
fn an_upload_held_back_for_a_100_passes_the_hop() {
    run(async {
        let (near, mut server) = duplex(1 << 16);
        let mut client = hop(near).await;
        let ask = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        client.write_all(ask).await.unwrap();
        assert_eq!(
            read_until(&mut client, "\r\n\r\n").await,
            "HTTP/1.1 100 Continue\r\n\r\n"
        );
        client.write_all(b"hi").await.unwrap();
        read_until(&mut server, "\r\n\r\n").await;
        server.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        read_until(&mut server, "hi").await;
        server
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
            .await
            .unwrap();
        assert!(
            read_until(&mut client, "done")
                .await
                .starts_with("HTTP/1.1 200 OK\r\n")
        );
    });
}
