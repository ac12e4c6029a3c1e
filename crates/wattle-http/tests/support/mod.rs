//! One-thread runtime with a paused clock: a test that hangs fails at once, a test that waits for time does not wait.
#![allow(dead_code, clippy::unwrap_used, unreachable_pub)]

use bytes::Bytes;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use wattle_http::{Drain, Handler, Limits, Request, RequestHead, Response, ServeError, Served, h1};

pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new()
        .block_on(&runtime, async {
            tokio::time::timeout(Duration::from_secs(100_000), test).await
        })
        .expect("the test waits for what never comes")
}

pub struct Call<F>(pub F);

impl<F: Fn(Request) -> R, R: Future<Output = Response>> Handler for Call<F> {
    fn handle(&self, request: Box<Request>) -> impl Future<Output = Response> {
        self.0(*request)
    }
}

/// Answers with the request's line, its headers and its body.
pub fn echo() -> Rc<impl Handler + 'static> {
    Rc::new(Call(|request: Request| async move {
        let told = tell(&request.head);
        match request.body.collect(1 << 20).await {
            Ok(body) => Response::new(
                http::StatusCode::OK,
                [told.as_bytes(), &body].concat().pipe(Bytes::from).into(),
            ),
            Err(error) => Response::new(
                http::StatusCode::IM_A_TEAPOT,
                Bytes::from(error.to_string()).into(),
            ),
        }
    }))
}

trait Pipe: Sized {
    fn pipe<T>(self, f: impl FnOnce(Self) -> T) -> T {
        f(self)
    }
}
impl<T> Pipe for T {}

pub fn tell(head: &RequestHead) -> String {
    format!("{} {} {} ", head.method, head.authority, head.path_and_query)
}

pub type Serving = JoinHandle<Result<Served, ServeError>>;

pub fn serve<H: Handler + 'static>(handler: Rc<H>, limits: Limits, drain: Drain) -> (DuplexStream, Serving) {
    serve_with(handler, limits, drain, 1 << 20)
}

pub fn serve_with<H: Handler + 'static>(
    h: Rc<H>,
    limits: Limits,
    drain: Drain,
    room: usize,
) -> (DuplexStream, Serving) {
    let (near, far) = duplex(room);
    let serving = spawn_local(h1::serve(far, Bytes::new(), h, Rc::new(limits), drain));
    (near, serving)
}

/// Sends these pieces, then ends its direction, and reads all that comes.
pub async fn talk<H: Handler + 'static>(handler: Rc<H>, pieces: &[&[u8]]) -> String {
    let limits = Limits {
        half_close: true,
        ..Limits::default()
    };
    let (mut stream, serving) = serve(handler, limits, Drain::never());
    for piece in pieces {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    stream.shutdown().await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    let _ = serving.await.unwrap();
    String::from_utf8_lossy(&all).into_owned()
}

/// Reads until the text ends so.
pub async fn read_until(stream: &mut DuplexStream, end: &str) -> String {
    let mut all = Vec::new();
    while !all.ends_with(end.as_bytes()) {
        let mut piece = [0; 4096];
        let n = stream.read(&mut piece).await.unwrap();
        assert!(n > 0, "ended early after {:?}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&piece[..n]);
    }
    String::from_utf8(all).unwrap()
}

/// A stream that counts the writes to it.
pub struct Counting(pub DuplexStream, pub Rc<Cell<usize>>);

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.1.set(self.1.get() + 1);
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
