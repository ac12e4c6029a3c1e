//! HTTP: `0` to `3` the parsers of [`wattle_http::fuzz`], `4` an HTTP/1 client, `5` an HTTP/1 server, `6` an HTTP/2 client.

use std::cell::RefCell;
use std::future::Future;
use std::io::Cursor;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use tokio::io::{join, sink};
use wattle_http::{Drain, Handler, Limits, Request, RequestHead, Response, fuzz, h1, h2};

use crate::select;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first byte selects.
pub fn run(input: &[u8]) {
    let Some((chosen, rest)) = select(input, 7) else {
        return;
    };
    match chosen {
        0 => fuzz::request_head(rest),
        1 => fuzz::response_head(rest),
        2 => fuzz::chunked(rest),
        3 => fuzz::spelling(rest),
        4 => http1_requests(rest),
        5 => http1_response(rest),
        _ => http2_requests(rest),
    }
}

/// How many bytes are read before the server starts must not matter to what it sees.
fn http1_requests(bytes: &[u8]) {
    let whole = served(bytes, bytes.len());
    assert_eq!(whole, served(bytes, bytes.len() / 2));
}

fn served(bytes: &[u8], known: usize) -> Vec<String> {
    let (prefix, rest) = bytes.split_at(known);
    let witness = Rc::new(Witness::default());
    let (prefix, io) = (
        Bytes::copy_from_slice(prefix),
        join(Cursor::new(rest.to_vec()), sink()),
    );
    let limits = Rc::new(Limits::default());
    let _ = in_time(h1::serve(io, prefix, Rc::clone(&witness), limits, Drain::never()));
    witness.seen.take()
}

fn http1_response(bytes: &[u8]) {
    let io = join(Cursor::new(bytes.to_vec()), sink());
    let client = h1::Client::new(io, Rc::new(Limits::default()), None);
    in_time(async {
        if let Ok(response) = client.send(Request::new(head(), "".into())).await {
            let _ = response.body.collect(1 << 20).await;
        }
    });
}

fn http2_requests(frames: &[u8]) {
    let io = join(Cursor::new(frames.to_vec()), sink());
    let (witness, limits) = (Rc::new(Witness::default()), Rc::new(Limits::default()));
    let prefix = Bytes::from_static(PREFACE);
    let _ = in_time(h2::serve(io, prefix, witness, limits, Drain::never()));
}

fn head() -> RequestHead {
    RequestHead::new(Method::GET, "a", "/")
}

/// Notes each request with the length of its body.
#[derive(Default)]
struct Witness {
    seen: RefCell<Vec<String>>,
}

impl Handler for Witness {
    async fn handle(&self, request: Box<Request>) -> Response {
        let head = format!(
            "{:?}",
            (
                &request.head.method,
                &request.head.authority,
                &request.head.path_and_query
            )
        );
        if request.head.asks_for_tunnel() || request.head.asks_for_upgrade() {
            self.seen.borrow_mut().push(head);
            return tunnel(*request);
        }
        let body = request.body.collect(1 << 20).await;
        let length = body.as_ref().map(Bytes::len).ok();
        self.seen.borrow_mut().push(format!("{head} {length:?}"));
        Response::new(StatusCode::OK, "seen".into())
    }
}

/// Agrees to a tunnel and echoes in it.
fn tunnel(request: Request) -> Response {
    let connect = request.head.method == Method::CONNECT;
    let status = if connect {
        StatusCode::OK
    } else {
        StatusCode::SWITCHING_PROTOCOLS
    };
    let mut response = Response::new(status, request.body);
    let asked = request
        .head
        .headers
        .get(http::header::UPGRADE)
        .filter(|_| !connect);
    if let Some(protocol) = asked {
        response
            .head
            .headers
            .insert(http::header::UPGRADE, protocol.clone());
        response
            .head
            .headers
            .insert(http::header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
    response
}

/// Runs on a clock that jumps; what does not end within its own limits is a finding.
fn in_time<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing of the system");
    runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(100_000), future).await })
        .expect("a connection waits for what never comes")
}
