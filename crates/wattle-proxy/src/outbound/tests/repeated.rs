//! Retries: what is repeated, how often, and what that says of endpoints and budgets.

use super::*;
use wattle_balance::Health;
use wattle_model::traffic::{OutlierDetection, RetryBudget, TlsFiles, UpstreamTls};
use wattle_model::{Limits, Timeouts};

use crate::tests::http2_application;

fn repeating(policy: RetryPolicy) -> RouteRule {
    RouteRule {
        retry: Some(Arc::new(policy)),
        ..rule(&[1])
    }
}

/// An application that answers everything with this status and keeps the heads.
async fn failing(status: u16) -> (SocketAddr, Rc<RefCell<Vec<HeaderMap>>>) {
    let heads = Rc::new(RefCell::new(Vec::new()));
    let kept = heads.clone();
    let address = application(async move |request: Request| {
        kept.borrow_mut().push(request.head.headers);
        Response::new(StatusCode::from_u16(status).unwrap(), Body::Empty)
    })
    .await;
    (address, heads)
}

#[tokio::test]
async fn a_request_counts_once_in_the_budget_however_often_it_is_repeated() {
    let run = async {
        let (app, heads) = failing(503).await;
        let as_many = BackendPolicy {
            retry_budget: Some(RetryBudget::Rate {
                percent: 100.0,
                minimum: 0,
                per: std::time::Duration::from_secs(1),
                window: Duration::from_secs(60),
            }),
            ..BackendPolicy::default()
        };
        // The same endpoint each time, so that no try looks like a first one for want of others.
        let policy = RetryPolicy {
            another_endpoint: false,
            attempts: 5,
            ..twice()
        };
        let world = World::new(&[&[app]], as_many, repeating(policy));
        assert_eq!(world.send(get()).await.head.status, 503);
        assert_eq!(heads.borrow().len(), 2);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn where_no_repetition_is_left_none_is_asked_of_the_budget() {
    let run = async {
        let (app, heads) = failing(503).await;
        let none = BackendPolicy {
            retry_budget: Some(RetryBudget::Concurrent {
                percent: 0.0,
                minimum: 0,
            }),
            ..BackendPolicy::default()
        };
        let off = RetryPolicy {
            attempts: 0,
            ..twice()
        };
        let world = World::new(&[&[app]], none, repeating(off));
        assert_eq!(world.send(get()).await.head.status, 503);
        assert_eq!(heads.borrow().len(), 1);
        assert_eq!(world.cluster().await.bounds.overflows().retries, 0);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn what_could_not_be_picked_is_refused_at_once() {
    let run = async {
        let (app, heads) = failing(503).await;
        let full = BackendPolicy {
            limits: Limits {
                requests: Some(0),
                ..Limits::default()
            },
            ..BackendPolicy::default()
        };
        let world = World::new(&[&[app]], full, repeating(twice()));
        let response = world.send(get()).await;
        assert_eq!(reason(&response), "upstream_overflow");
        assert_eq!(heads.borrow().len(), 0);
        assert_eq!(world.cluster().await.bounds.overflows().requests, 1);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn each_try_of_grpc_is_told_how_much_of_the_time_is_left() {
    let run = async {
        let (app, heads) = failing(503).await;
        let unsafe_too = RetryPolicy {
            unsafe_methods: true,
            ..twice()
        };
        let world = World::new(&[&[app]], BackendPolicy::default(), repeating(unsafe_too));
        let mut call = request(Method::POST);
        let headers = &mut call.head.headers;
        headers.insert("content-type", "application/grpc".parse().unwrap());
        headers.insert("grpc-timeout", "10S".parse().unwrap());
        world.send(call).await;
        let sent: Vec<_> = heads
            .borrow()
            .iter()
            .map(|head| head["grpc-timeout"].to_str().unwrap().to_owned())
            .collect();
        assert_eq!((sent.len(), sent[0].as_str()), (3, "10S"));
        assert!(sent[1..].iter().all(|left| left.ends_with('m')), "{sent:?}");
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn an_endpoint_that_lets_the_time_of_the_route_pass_has_failed() {
    let run = async {
        let stuck = Named::default();
        stuck.stuck.set(true);
        let app = stuck.start().await;
        let ejecting = BackendPolicy {
            outliers: Some(OutlierDetection {
                consecutive_local: Some(1),
                max_ejection_percent: 100,
                ..OutlierDetection::default()
            }),
            ..BackendPolicy::default()
        };
        for retry in [None, Some(Arc::new(twice()))] {
            let rule = RouteRule {
                timeouts: Timeouts {
                    request: Some(Duration::from_millis(20)),
                    ..Timeouts::default()
                },
                retry,
                ..rule(&[1])
            };
            let world = World::new(&[&[app]], ejecting.clone(), rule);
            let response = world.send(get()).await;
            assert_eq!(reason(&response), "request_timeout");
            let member = world.cluster().await.members().remove(0);
            assert_eq!(member.health(world.worker.clock.now_ns()), Health::Out);
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn connecting_is_part_of_a_try_and_of_its_limit() {
    let run = async {
        let app = Named::default().start().await;
        // Whose files never come, so that no connection comes about.
        let outside = BackendPolicy {
            tls: UpstreamTls::Origination {
                sni: Some("a.example".into()),
                names: Vec::new(),
                files: TlsFiles::default(),
                unverified: false,
            },
            ..BackendPolicy::default()
        };
        let rule = RouteRule {
            timeouts: Timeouts {
                backend_request: Some(Duration::from_millis(10)),
                ..Timeouts::default()
            },
            ..rule(&[1])
        };
        let world = World::new(&[&[app]], outside, rule);
        let response = world.send(get()).await;
        assert_eq!(
            (response.head.status.as_u16(), reason(&response)),
            (504, "backend_timeout")
        );
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn an_answer_that_is_overdue_fails_its_try_and_is_asked_for_elsewhere() {
    let run = async {
        let (slow, fast) = (Named::default(), Named::default());
        slow.stuck.set(true);
        let (stuck, well) = (slow.start().await, fast.start().await);
        let overdue = Timeouts {
            response: Some(Duration::from_millis(10)),
            ..Timeouts::default()
        };
        let once = RouteRule {
            timeouts: overdue,
            ..rule(&[1])
        };
        let world = World::new(&[&[stuck]], BackendPolicy::default(), once);
        assert_eq!(reason(&world.send(get()).await), "backend_timeout");
        let again = RouteRule {
            timeouts: overdue,
            ..repeating(twice())
        };
        let world = World::new(&[&[stuck, well]], BackendPolicy::default(), again);
        let asked = slow.asked.get();
        while slow.asked.get() == asked {
            assert_eq!(name(&world.send(get()).await), well);
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_small_body_survives_a_kept_connection_that_was_closed_though_the_route_bounds_idle_time() {
    let run = async {
        // Answers once on each connection and closes it without a word.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = listener.local_addr().unwrap();
        let closed = Rc::new(Cell::new(0));
        let told = closed.clone();
        tokio::task::spawn_local(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut read = Vec::new();
                while !read.ends_with(b"body") {
                    socket.read_buf(&mut read).await.unwrap();
                }
                socket
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                    .await
                    .unwrap();
                // The next request is read and never answered.
                let mut next = Vec::new();
                while !next.ends_with(b"body") {
                    if socket.read_buf(&mut next).await.unwrap() == 0 {
                        break;
                    }
                }
                told.set(told.get() + 1);
            }
        });
        let mut idle = rule(&[1]);
        idle.timeouts.idle = Some(Duration::from_secs(60));
        let world = World::new(&[&[app]], BackendPolicy::default(), idle);
        for _ in 0..2 {
            let mut put = request(Method::PUT);
            put.body = Body::full("body");
            assert_eq!(world.send(put).await.head.status, 200);
        }
        assert_eq!(closed.get(), 1);
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_backend_that_is_declared_to_speak_http_2_is_asked_in_it_whoever_asks() {
    let run = async {
        let app = http2_application(async |request: Request| {
            Response::new(StatusCode::OK, Body::full(format!("{:?}", request.head.version)))
        });
        let app = app.await;
        let world = World::new(&[&[app]], BackendPolicy::default(), rule(&[1]));
        world.destination.borrow_mut().backends[0].protocol = wattle_model::Protocol::Grpc;
        world.route(rule(&[1]));
        let response = world.send(get()).await;
        assert_eq!(response.body.collect(64).await.unwrap(), "HTTP/2.0");
    };
    LocalSet::new().run_until(run).await;
}
