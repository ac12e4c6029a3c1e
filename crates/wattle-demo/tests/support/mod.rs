//! The shop in one process, on loopback, on ports of its own.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use bytes::Bytes;
use http::{Method, StatusCode};
use std::collections::HashMap;
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use wattle_demo::sample::Sample;
use wattle_demo::{Name, Settings};
use wattle_http::{
    Body, Drain, Handler, Limits, Request, RequestHead, Response, ResponseHead, client_simple, h1, h2,
};

/// Runs a test on one thread; one that waits for what never comes fails.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let bounded = async { tokio::time::timeout(Duration::from_secs(60), test).await };
    LocalSet::new()
        .block_on(&runtime, bounded)
        .expect("the test waits for what never comes")
}

/// A service that runs until it is stopped.
pub struct Running {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    /// Tells it to end, without waiting.
    pub fn tell_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Tells it to end, and waits until it has.
    pub async fn stop(mut self) {
        self.tell_to_stop();
        self.task.await.unwrap();
    }
}

pub fn settings(name: Name, variables: &[(&str, String)]) -> Settings {
    let mut all: HashMap<&str, String> = variables.iter().cloned().collect();
    all.entry("LISTEN").or_insert_with(|| "127.0.0.1:0".to_owned());
    Settings::read(name, |key| all.get(key).cloned()).unwrap()
}

pub async fn start(name: Name, variables: &[(&str, String)]) -> Running {
    let sample = Sample::bind(settings(name, variables)).await.unwrap();
    let address = sample.address().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = spawn_local(async move {
        let until = async {
            let _ = stopped.await;
        };
        sample.run(until, &mut std::io::sink()).await;
    });
    Running {
        address,
        stop: Some(stop),
        task,
    }
}

pub fn http(address: SocketAddr) -> String {
    format!("http://{address}")
}

pub fn tcp(address: SocketAddr) -> String {
    format!("tcp://{address}")
}

/// All services of the shop, with this version of reviews.
pub struct Shop {
    pub catalog: Running,
    pub reviews: Running,
    pub ratings: Running,
    pub cart: Running,
    pub ledger: Running,
    pub greeter: Running,
    pub web: Running,
}

impl Shop {
    pub async fn open(version: &str) -> Self {
        Self::open_with(version, &[]).await
    }

    /// `extra` goes to `web` and wins over what it would be told.
    pub async fn open_with(version: &str, extra: &[(&'static str, String)]) -> Self {
        let catalog = start(Name::Catalog, &[("WATTLE_INSTANCE", "catalog-0".to_owned())]).await;
        let (ratings, ledger) = (start(Name::Ratings, &[]).await, start(Name::Ledger, &[]).await);
        let greeter = start(Name::Greeter, &[]).await;
        let cart = start(Name::Cart, &[("LEDGER_URL", tcp(ledger.address))]).await;
        let version = ("VERSION", version.to_owned());
        let reviews = start(Name::Reviews, &[("RATINGS_URL", http(ratings.address)), version]).await;
        let mut variables = vec![
            ("CATALOG_URL", http(catalog.address)),
            ("REVIEWS_URL", http(reviews.address)),
            ("CART_URL", http(cart.address)),
            ("GREETER_URL", tcp(greeter.address)),
        ];
        variables.extend(extra.iter().cloned());
        let web = start(Name::Web, &variables).await;
        Self {
            catalog,
            reviews,
            ratings,
            cart,
            ledger,
            greeter,
            web,
        }
    }
}

/// One request on a connection of its own.
pub async fn fetch(address: SocketAddr, method: Method, path: &str, body: &str) -> (ResponseHead, String) {
    let stream = TcpStream::connect(address).await.unwrap();
    let head = RequestHead::new(method, "shop", path);
    let body = Bytes::copy_from_slice(body.as_bytes());
    let (head, body) = client_simple::fetch(stream, head, body, 1 << 20).await.unwrap();
    (head, String::from_utf8(body.to_vec()).unwrap())
}

pub async fn see(address: SocketAddr, path: &str) -> (StatusCode, String) {
    let (head, body) = fetch(address, Method::GET, path, "").await;
    (head.status, body)
}

pub fn header(head: &ResponseHead, name: &str) -> String {
    head.headers
        .get(name)
        .map(|value| value.to_str().unwrap().to_owned())
        .unwrap_or_default()
}

struct Call<F>(F);

impl<F: Fn(Request) -> R, R: Future<Output = Response>> Handler for Call<F> {
    fn handle(&self, request: Box<Request>) -> impl Future<Output = Response> {
        (self.0)(*request)
    }
}

/// An HTTP server that stands in for a service, until the test ends.
pub async fn stand_in<F, R>(answer: F) -> SocketAddr
where
    F: Fn(Request) -> R + 'static,
    R: Future<Output = Response> + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handler = Rc::new(Call(answer));
    spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let limits = Rc::new(Limits::default());
            spawn_local(h1::serve(
                stream,
                Bytes::new(),
                handler.clone(),
                limits,
                Drain::never(),
            ));
        }
    });
    address
}

/// An HTTP/2 server that stands in for a service, until the test ends.
pub async fn stand_in_h2<F, R>(answer: F) -> SocketAddr
where
    F: Fn(Request) -> R + 'static,
    R: Future<Output = Response> + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handler = Rc::new(Call(answer));
    spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let limits = Rc::new(Limits::default());
            spawn_local(h2::serve(
                stream,
                Bytes::new(),
                handler.clone(),
                limits,
                Drain::never(),
            ));
        }
    });
    address
}

/// As a mesh refuses: a status, a reason, a text.
pub fn refusal(status: StatusCode, reason: &'static str) -> Response {
    let mut response = Response::new(status, Body::from("not for you"));
    response
        .head
        .headers
        .insert("wattle-reason", http::HeaderValue::from_static(reason));
    response
}

/// An address where nobody listens.
pub async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Takes lines, and tells when one of them is as wanted.
pub struct Until<F> {
    pub lines: Vec<String>,
    wanted: F,
    found: Option<oneshot::Sender<()>>,
}

impl<F: FnMut(&str) -> bool> Until<F> {
    pub fn new(wanted: F) -> (Self, impl Future<Output = ()>) {
        let (found, stop) = oneshot::channel();
        let stop = async {
            let _ = stop.await;
        };
        (
            Self {
                lines: Vec::new(),
                wanted,
                found: Some(found),
            },
            stop,
        )
    }
}

impl<F: FnMut(&str) -> bool> Write for Until<F> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let line = std::str::from_utf8(bytes).unwrap();
        self.lines.push(line.to_owned());
        if (self.wanted)(line) {
            drop(self.found.take());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs the load or the intruder until a line is as wanted; answers with all lines.
pub async fn told(name: Name, variables: &[(&str, String)], wanted: impl FnMut(&str) -> bool) -> Vec<String> {
    let (mut out, stop) = Until::new(wanted);
    Sample::bind(settings(name, variables))
        .await
        .unwrap()
        .run(stop, &mut out)
        .await;
    out.lines
}
