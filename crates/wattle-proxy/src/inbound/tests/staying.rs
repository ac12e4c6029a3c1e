//! Opaque connections that are open when policy changes.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use wattle_model::{Authorization, Source, TextMatch};
use wattle_telemetry::access::{AccessLog, AccessLogConfig, Sink};

use super::refused::Page;
use super::*;
use crate::inbound::staying::{self, LetIn};
use crate::tests::worker_with_log;

/// A connection of this caller that has carried a byte each way, to an application that repeats what it hears.
async fn opened(worker: &Rc<Worker>, caller: Option<&str>) -> TcpStream {
    let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let local = app.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        let (socket, _) = app.accept().await.unwrap();
        let (mut reader, mut writer) = socket.into_split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
    let (mut near, far) = pair().await;
    let arrived = Arrived {
        who: Rc::new(Who {
            downstream: far.peer_addr().unwrap(),
            local,
            peer: caller.map(identity),
            proof: None,
            sni: None,
        }),
        stream: far.into(),
    };
    let worker = worker.clone();
    tokio::task::spawn_local(async move { crate::inbound::tcp::carry(&worker, arrived).await });
    assert!(repeats(&mut near).await, "{caller:?} is not let in");
    near
}

/// Whether what is said comes back.
async fn repeats(socket: &mut TcpStream) -> bool {
    let talk = async {
        socket.write_all(b"x").await.ok()?;
        socket.read_u8().await.ok()
    };
    tokio::time::timeout(Duration::from_secs(20), talk)
        .await
        .expect("neither an answer nor an end")
        == Some(b'x')
}

fn by(name: &str) -> Policy {
    let source = Source {
        principals: vec![TextMatch::Suffix(format!("/sa/{name}").into())],
        ..Source::default()
    };
    Policy {
        origin: origin(name),
        rules: vec![PolicyRule {
            from: vec![source],
            ..PolicyRule::default()
        }],
    }
}

fn under(authorization: Authorization) -> Inbound {
    Inbound {
        authorization,
        ..Inbound::default()
    }
}

#[tokio::test]
async fn a_connection_ends_when_policy_denies_it_and_no_other_does() {
    let run = async {
        let page = Page::default();
        let log = AccessLog::start(AccessLogConfig {
            sink: Sink::Writer(Box::new(page.clone())),
            ..AccessLogConfig::default()
        })
        .unwrap();
        let worker = worker_with_log(Some(log.writer()));
        tell(&worker, under(Authorization::default()), &[], None);
        let mut bad = opened(&worker, Some("bad")).await;
        let mut good = opened(&worker, Some("good")).await;
        let audit = vec![by("bad")];
        tell(
            &worker,
            under(Authorization {
                audit,
                ..Authorization::default()
            }),
            &[],
            None,
        );
        assert!(repeats(&mut bad).await && repeats(&mut good).await);

        let deny = vec![by("bad")];
        tell(
            &worker,
            under(Authorization {
                deny,
                ..Authorization::default()
            }),
            &[],
            None,
        );
        assert_eq!(
            bad.read_u8().await.unwrap_err().kind(),
            std::io::ErrorKind::ConnectionReset
        );
        assert!(repeats(&mut good).await);
        let refusals = worker.refusals.all();
        assert_eq!(refusals.len(), 1);
        assert_eq!(
            (refusals[0].reason.as_str(), refusals[0].peer.as_deref()),
            ("policy_denied", Some(identity("bad").as_str()))
        );

        worker.sweep();
        log.finish(Duration::from_secs(5));
        let text = page.0.lock().unwrap().clone();
        let line: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(line["response_code_details"], "policy_denied");
        assert_eq!(line["refusal_id"], refusals[0].id.as_str());
        assert_eq!(line["bytes_received"], 2);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn what_an_open_connection_waits_with_is_small() {
    let worker = worker();
    let let_in = LetIn {
        who: Rc::new(Who {
            downstream: ([127, 0, 0, 1], 1).into(),
            local: ([127, 0, 0, 1], 2).into(),
            peer: None,
            proof: None,
            sni: None,
        }),
        request: None,
        judged: None,
    };
    let staying = staying::of(&worker, let_in);
    let bytes = size_of_val(&*staying.judging);
    assert!(bytes <= 320, "{bytes}");
}

#[tokio::test]
async fn a_connection_in_plaintext_ends_when_its_port_becomes_strict() {
    let run = async {
        let worker = worker();
        tell(&worker, Inbound::default(), &[], None);
        let mut plain = opened(&worker, None).await;
        let mut meshed = opened(&worker, Some("x")).await;
        let strict = Inbound {
            mtls: MtlsMode::Strict,
            ..Inbound::default()
        };
        tell(&worker, strict, &[], None);
        assert!(plain.read_u8().await.is_err());
        assert!(repeats(&mut meshed).await);
        assert_eq!(worker.refusals.all()[0].reason, "mtls_required");
    };
    LocalSet::new().run_until(run).await;
}
