//! What tests of this crate have in common: a worker without listeners, and peers over loopback.
#![allow(clippy::unwrap_used)]

pub(crate) mod root;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use wattle_http::{DrainSignal, Handler, Limits, ParseError, Request, Response, ResponseHead, h1, h2};
use wattle_identity::{SpiffeId, TrustDomain};
use wattle_model::{Endpoint, EndpointHealth, Hop, Locality};
use wattle_net::Drain;
use wattle_telemetry::Registry;
use wattle_telemetry::access::AccessWriter;

use crate::config::Post;
use crate::settings::Settings;
use crate::worker::Worker;

/// A SPIFFE name of the tests' trust domain.
pub(crate) fn identity(account: &str) -> SpiffeId {
    SpiffeId::new(&TrustDomain::new("td").unwrap(), "n", account).unwrap()
}

/// A worker that nobody tells anything but the test.
pub(crate) fn worker() -> Rc<Worker> {
    worker_with_log(None)
}

/// The same with an access log.
pub(crate) fn worker_with_log(access: Option<AccessWriter>) -> Rc<Worker> {
    made(access, |_| {})
}

/// The same with other settings.
pub(crate) fn worker_with(change: impl FnOnce(&mut Settings)) -> Rc<Worker> {
    made(None, change)
}

/// A worker, and where it counts.
pub(crate) fn counted_worker() -> (Rc<Worker>, Arc<Registry>) {
    let registry = Registry::new(wattle_telemetry::Limits::default());
    (counting(&registry, None, |_| {}), registry)
}

fn made(access: Option<AccessWriter>, change: impl FnOnce(&mut Settings)) -> Rc<Worker> {
    counting(
        &Registry::new(wattle_telemetry::Limits::default()),
        access,
        change,
    )
}

fn counting(
    registry: &Arc<Registry>,
    access: Option<AccessWriter>,
    change: impl FnOnce(&mut Settings),
) -> Rc<Worker> {
    let control = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut settings = Settings::new(
        identity("a"),
        "a-0".to_owned(),
        control,
        "roots".into(),
        "state".into(),
    );
    change(&mut settings);
    let (asks, _) = mpsc::channel(1);
    let (_, draining) = Drain::new();
    Worker::new(
        Arc::new(settings),
        Post::new(0, asks),
        draining,
        registry.shard(),
        access,
    )
}

/// A healthy endpoint without a proxy.
pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint {
        address,
        weight: 1,
        health: EndpointHealth::Healthy,
        locality: Locality::default(),
        hop: Hop::Plaintext,
        workload: Arc::default(),
        labels: Vec::new(),
    }
}

/// An application that answers as the function says.
pub(crate) struct Application<F>(F);

impl<F: AsyncFn(Request) -> Response + 'static> Handler for Application<F> {
    async fn handle(&self, request: Box<Request>) -> Response {
        (self.0)(*request).await
    }

    fn refuse(&self, error: &ParseError) -> ResponseHead {
        ResponseHead::new(error.status())
    }
}

/// Starts an HTTP/1 application on loopback; within a local set.
pub(crate) async fn application<F>(answer: F) -> SocketAddr
where
    F: AsyncFn(Request) -> Response + 'static,
{
    started(answer, false).await
}

/// The same for one that speaks HTTP/2 and nothing else.
pub(crate) async fn http2_application<F>(answer: F) -> SocketAddr
where
    F: AsyncFn(Request) -> Response + 'static,
{
    started(answer, true).await
}

async fn started<F>(answer: F, http2: bool) -> SocketAddr
where
    F: AsyncFn(Request) -> Response + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handler = Rc::new(Application(answer));
    tokio::task::spawn_local(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (limits, drain) = (Rc::new(Limits::default()), DrainSignal::new().subscribe());
            let handler = handler.clone();
            tokio::task::spawn_local(async move {
                // A peer that goes away ends it.
                let _ = match http2 {
                    true => h2::serve(socket, Bytes::new(), handler, limits, drain).await,
                    false => h1::serve(socket, Bytes::new(), handler, limits, drain).await,
                };
            });
        }
    });
    address
}

/// Two ends of one connection over loopback.
pub(crate) async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}
