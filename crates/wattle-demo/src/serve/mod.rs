//! Listening: connections accepted, bounded and drained, whatever is spoken on them.

mod front;
mod reply;

pub(crate) use front::{Asked, Front, Service};
pub(crate) use reply::{Reply, SERVED_BY, Trail};

use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use wattle_http::{Drain, DrainSignal, Handler, Limits, h1, h2};

/// Connections served at once; further ones wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 1024;
/// How long requests in work may take once the service was told to stop.
const DRAIN_TIME: Duration = Duration::from_secs(20);
/// The pause after a failed accept: the reason is likely a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until `stop`, then lets every connection finish what it is at.
pub(crate) async fn accept<C, F>(listener: TcpListener, connection: C, stop: impl Future<Output = ()>)
where
    C: Fn(TcpStream, Drain) -> F,
    F: Future<Output = ()> + 'static,
{
    let signal = DrainSignal::new();
    let mut open = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_) = open.join_next() => {}
            accepted = listener.accept(), if open.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => start(&mut open, &connection, stream, &signal),
                Err(error) => pause(&error).await,
            },
        }
    }
    // Whoever is in the backlog was told "connected": they are served too.
    while open.len() < MAX_CONNECTIONS
        && let Some(stream) = waiting(&listener).await
    {
        start(&mut open, &connection, stream, &signal);
    }
    drop(listener);
    signal.drain();
    finish(&mut open).await;
}

fn start<C, F>(open: &mut JoinSet<()>, connection: &C, stream: TcpStream, signal: &DrainSignal)
where
    C: Fn(TcpStream, Drain) -> F,
    F: Future<Output = ()> + 'static,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection is gone already");
        return;
    }
    open.spawn_local(connection(stream, signal.subscribe()));
}

async fn pause(error: &io::Error) {
    tracing::warn!(%error, "accept failed");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn waiting(listener: &TcpListener) -> Option<TcpStream> {
    let accepted = std::future::poll_fn(|cx| match listener.poll_accept(cx) {
        std::task::Poll::Ready(Ok((stream, _))) => std::task::Poll::Ready(Some(stream)),
        _ => std::task::Poll::Ready(None),
    });
    accepted.await
}

async fn finish(open: &mut JoinSet<()>) {
    let all = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIME, all).await.is_err() {
        tracing::warn!(connections = open.len(), "not all requests were finished in time");
    }
}

/// Serves HTTP/1.1 until `stop`.
pub(crate) async fn http1<H: Handler + 'static>(
    listener: TcpListener,
    handler: H,
    stop: impl Future<Output = ()>,
) {
    let (handler, limits) = (Rc::new(handler), Rc::new(Limits::default()));
    let connection = |stream, drain| {
        let serving = h1::serve(
            stream,
            bytes::Bytes::new(),
            handler.clone(),
            limits.clone(),
            drain,
        );
        async move { ended(serving.await) }
    };
    accept(listener, connection, stop).await;
}

/// Serves HTTP/2 without TLS until `stop`.
pub(crate) async fn http2<H: Handler + 'static>(
    listener: TcpListener,
    handler: H,
    stop: impl Future<Output = ()>,
) {
    let (handler, limits) = (Rc::new(handler), Rc::new(Limits::default()));
    let connection = |stream, drain| {
        let serving = h2::serve(
            stream,
            bytes::Bytes::new(),
            handler.clone(),
            limits.clone(),
            drain,
        );
        async move { ended(serving.await) }
    };
    accept(listener, connection, stop).await;
}

fn ended(result: Result<wattle_http::Served, wattle_http::ServeError>) {
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended in disorder");
    }
}
