//! Requests that became tunnels and are open when policy changes.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use wattle_http::{Frame, h2};
use wattle_model::{Operation, TextMatch};
use wattle_telemetry::access::{AccessLog, AccessLogConfig, Sink};

use super::refused::Page;
use super::*;
use crate::inbound::serve_http2;
use crate::tests::worker_with_log;

/// Asks to become a tunnel, whose bytes the sender gives.
fn asks(path: &str) -> (wattle_http::Sender, Request) {
    let (sender, body) = Body::channel(1);
    let mut request = Request::new(RequestHead::new(Method::GET, "a", path), body);
    let headers = &mut request.head.headers;
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    (sender, request)
}

/// An application that says everything back.
async fn echo(request: Request) -> Response {
    let mut response = Response::new(StatusCode::SWITCHING_PROTOCOLS, request.body);
    let headers = &mut response.head.headers;
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response
}

/// The client's end of a tunnel.
struct Tunnel {
    sender: wattle_http::Sender,
    received: Body,
}

impl Tunnel {
    async fn opened(worker: &Rc<Worker>, app: SocketAddr, path: &str) -> Self {
        let (sender, request) = asks(path);
        let response = send(worker, app, Some("c"), request).await;
        assert_eq!(response.head.status, StatusCode::SWITCHING_PROTOCOLS);
        let mut tunnel = Self {
            sender,
            received: response.body,
        };
        assert!(tunnel.repeats().await, "{path}");
        tunnel
    }

    /// Whether what is said comes back.
    async fn repeats(&mut self) -> bool {
        let word = || Frame::Data(Bytes::from_static(b"x"));
        if self.sender.send(word()).await.is_err() {
            return false;
        }
        matches!(self.next().await, Some(Ok(frame)) if frame == word())
    }

    /// What comes next; an error or nothing at its end.
    async fn next(&mut self) -> Option<Result<Frame, wattle_http::BodyError>> {
        tokio::time::timeout(Duration::from_secs(20), self.received.next())
            .await
            .expect("neither an answer nor an end")
    }
}

/// Nobody may ask for this path.
fn without(port: u16, path: &str) -> Inbound {
    let mut inbound = open(port);
    let to = Operation {
        paths: vec![TextMatch::Exact(path.into())],
        ..Operation::default()
    };
    inbound.authorization.deny = vec![Policy {
        origin: origin("no"),
        rules: vec![PolicyRule {
            to: vec![to],
            ..PolicyRule::default()
        }],
    }];
    inbound
}

#[tokio::test]
async fn a_tunnel_ends_when_policy_denies_the_request_that_it_began_as_and_no_other_does() {
    let run = async {
        let page = Page::default();
        let log = AccessLog::start(AccessLogConfig {
            sink: Sink::Writer(Box::new(page.clone())),
            ..AccessLogConfig::default()
        })
        .unwrap();
        let worker = worker_with_log(Some(log.writer()));
        let app = application(echo).await;
        tell(&worker, open(app.port()), &[], None);
        let mut bad = Tunnel::opened(&worker, app, "/bad?secret").await;
        let mut good = Tunnel::opened(&worker, app, "/good").await;
        tell(&worker, without(app.port(), "/elsewhere"), &[], None);
        assert!(bad.repeats().await && good.repeats().await);

        tell(&worker, without(app.port(), "/bad"), &[], None);
        assert!(!matches!(bad.next().await, Some(Ok(_))));
        assert!(good.repeats().await);
        let refusals = worker.refusals.all();
        assert_eq!(refusals.len(), 1);
        let refusal = &refusals[0];
        assert_eq!(
            (&*refusal.reason, &*refusal.policy),
            ("policy_denied", "RateLimit n/no rule 0")
        );
        assert_eq!(refusal.request.as_ref().unwrap().path, "/bad");

        worker.sweep();
        log.finish(Duration::from_secs(5));
        let text = page.0.lock().unwrap().clone();
        let line: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(line["response_code"], 101);
        assert_eq!(line["response_code_details"], "policy_denied");
        assert_eq!(line["refusal_id"], refusal.id.as_str());
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_tunnel_within_http_2_ends_as_well_and_its_connection_goes_on() {
    let run = async {
        let worker = worker();
        let app = http2_application(async |request: Request| match request.head.asks_for_tunnel() {
            true => echo(request).await,
            false => ok(request).await,
        })
        .await;
        let mut inbound = open(app.port());
        inbound.ports[0].protocol = Protocol::Http2;
        tell(&worker, inbound.clone(), &[], None);
        let (near, far) = pair().await;
        let arrived = Arrived {
            who: Rc::new(Who {
                downstream: far.peer_addr().unwrap(),
                local: app,
                peer: None,
                proof: None,
                sni: None,
            }),
            stream: far.into(),
        };
        let serving = worker.clone();
        tokio::task::spawn_local(async move { serve_http2(&serving, arrived, false).await });
        let (client, driver) = h2::connect(near, &worker.limits).await.unwrap();
        tokio::task::spawn_local(driver);
        let (sender, request) = asks("/bad");
        let response = client.send(request).await.unwrap();
        assert_eq!(response.head.status, StatusCode::SWITCHING_PROTOCOLS);
        let mut tunnel = Tunnel {
            sender,
            received: response.body,
        };
        assert!(tunnel.repeats().await);

        inbound.authorization = without(app.port(), "/bad").authorization;
        tell(&worker, inbound, &[], None);
        assert!(matches!(
            tunnel.next().await,
            Some(Err(wattle_http::BodyError::Reset(_)))
        ));
        let response = client.send(get("/good")).await.unwrap();
        assert_eq!(response.head.status, StatusCode::OK);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_tunnel_ends_although_the_application_has_said_its_last_word() {
    let run = async {
        let worker = worker();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = listener.local_addr().unwrap();
        let answered = tokio::task::spawn_local(async move {
            let mut socket = listener.accept().await.unwrap().0;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            let yes =
                b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
            socket.write_all(yes).await.unwrap();
            socket.shutdown().await.unwrap();
            assert_eq!(socket.read_u8().await.unwrap(), b'x');
            socket
        });
        tell(&worker, open(app.port()), &[], None);
        let (sender, request) = asks("/bad");
        let mut response = send(&worker, app, Some("c"), request).await;
        assert!(response.body.next().await.is_none());
        let client = tokio::task::spawn_local(async move {
            std::future::poll_fn(|cx| response.body.poll_drive(cx))
                .await
                .unwrap();
        });
        sender.send(Frame::Data(Bytes::from_static(b"x"))).await.unwrap();
        let mut socket: TcpStream = answered.await.unwrap();
        tell(&worker, without(app.port(), "/bad"), &[], None);
        let end = tokio::time::timeout(Duration::from_secs(20), socket.read(&mut [0])).await;
        assert!(matches!(end.expect("it goes on"), Ok(0) | Err(_)));
        assert_eq!(worker.refusals.all().len(), 1);
        client.abort();
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_change_while_the_application_makes_up_its_mind_is_not_missed() {
    let run = async {
        let worker = worker();
        let (arrived, go_on) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
        let (there, wait) = (arrived.clone(), go_on.clone());
        let app = application(async move |request| {
            there.notify_one();
            wait.notified().await;
            echo(request).await
        })
        .await;
        tell(&worker, open(app.port()), &[], None);
        let (sender, request) = asks("/bad");
        let (response, ()) = tokio::join!(try_send(&worker, app, Some("c"), request), async {
            arrived.notified().await;
            tell(&worker, without(app.port(), "/bad"), &[], None);
            go_on.notify_one();
        });
        // What it was told may have been cut off with all the rest.
        if let Ok(response) = response {
            let mut tunnel = Tunnel {
                sender,
                received: response.body,
            };
            assert!(!matches!(tunnel.next().await, Some(Ok(_))));
        }
        assert_eq!(worker.refusals.all()[0].reason, "policy_denied");
    };
    LocalSet::new().run_until(run).await;
}
