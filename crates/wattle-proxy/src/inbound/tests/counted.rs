//! Limits that a service counts: Envoy's protocol, spoken by a server of another making.

use std::sync::Mutex;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request as Asked, Response as Answer, Status};
use wattle_model::{Allowance, Backend, DescriptorValue, Destination, Endpoints, GlobalLimit, RateLimit};
use wattle_wire::proto::rate_limit::rate_limit_response::{Code, DescriptorStatus};
use wattle_wire::proto::rate_limit::rate_limit_service_server::{RateLimitService, RateLimitServiceServer};
use wattle_wire::proto::rate_limit::{HeaderValue as Told, RateLimitRequest, RateLimitResponse};

use super::*;
use crate::config::Dialled;
use crate::tests::endpoint;

const SERVICE: &str = "limits.n.svc.cluster.local:8081";

/// What a service was asked: domain, then `key=value` of each descriptor.
type Questions = Arc<Mutex<Vec<String>>>;

/// Allows what has not the value `bad`, fails for `broken`, says nothing for `silent`.
struct Service(Questions);

#[tonic::async_trait]
impl RateLimitService for Service {
    async fn should_rate_limit(
        &self,
        asked: Asked<RateLimitRequest>,
    ) -> Result<Answer<RateLimitResponse>, Status> {
        let asked = asked.into_inner();
        let mut text = asked.domain.clone();
        for descriptor in &asked.descriptors {
            let entries = descriptor.entries.iter();
            let entries: Vec<_> = entries
                .map(|entry| format!("{}={}", entry.key, entry.value))
                .collect();
            text = format!("{text} {}", entries.join(","));
        }
        self.0.lock().unwrap().push(text.clone());
        if text.contains("broken") {
            return Err(Status::internal("no counters"));
        }
        if text.contains("silent") {
            std::future::pending::<()>().await;
        }
        let over = text.contains("bad");
        let code = if over { Code::OverLimit } else { Code::Ok };
        let told = |key: &str, value: &str| Told {
            key: key.to_owned(),
            value: value.to_owned(),
            raw_value: Vec::new(),
        };
        Ok(Answer::new(RateLimitResponse {
            overall_code: code.into(),
            statuses: vec![DescriptorStatus {
                code: code.into(),
                duration_until_reset: Some(wattle_wire::proto::rate_limit::Duration { seconds: 7, nanos: 1 }),
            }],
            response_headers_to_add: vec![
                told("x-ratelimit-limit", "10"),
                told("wattle-reason", "x"),
                told("content-length", "9"),
            ],
        }))
    }
}

/// Starts the service, and tells the worker that it is a destination of the mesh.
async fn service(worker: &Worker) -> Questions {
    let questions = Questions::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = RateLimitServiceServer::new(Service(questions.clone()));
    let serving = tonic::transport::Server::builder()
        .add_service(server)
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(serving);
    let endpoints = Endpoints {
        id: "n/limits:8081".into(),
        endpoints: vec![endpoint(address)],
        ..Endpoints::default()
    };
    let destination = Destination {
        name: SERVICE.into(),
        backends: vec![Backend {
            id: endpoints.id.clone(),
            protocol: Protocol::Grpc,
            ..Backend::default()
        }],
        default_backend: Some(0),
        ..Destination::default()
    };
    worker.hear(News::Endpoints(endpoints.id.clone(), Arc::new(endpoints)));
    worker.hear(News::Destination(
        Dialled::read(&SERVICE.into()),
        Some(Arc::new(destination)),
    ));
    questions
}

fn limit(entries: Vec<(Arc<str>, DescriptorValue)>, timeout: Duration, allow_on_failure: bool) -> RateLimit {
    RateLimit {
        origin: origin("global"),
        ports: Vec::new(),
        matches: Vec::new(),
        clients: Vec::new(),
        except: Vec::new(),
        allowance: Allowance::Global(Box::new(GlobalLimit {
            service: SERVICE.into(),
            domain: "shop".into(),
            entries,
            timeout,
            allow_on_failure,
        })),
    }
}

/// Whoever does not answer within this never does.
const PATIENCE: Duration = Duration::from_secs(10);

fn by_path(timeout: Duration, allow_on_failure: bool) -> RateLimit {
    limit(
        vec![("path".into(), DescriptorValue::Path)],
        timeout,
        allow_on_failure,
    )
}

#[tokio::test]
async fn the_service_is_asked_once_about_all_that_applies_and_its_word_counts() {
    let run = async {
        let (worker, app) = (worker(), application(ok).await);
        let questions = service(&worker).await;
        let user = http::HeaderName::from_static("x-user");
        let entries = vec![
            ("who".into(), DescriptorValue::Principal),
            ("method".into(), DescriptorValue::Method),
            ("user".into(), DescriptorValue::Header(user)),
            ("kind".into(), DescriptorValue::Fixed("api".into())),
        ];
        let limits = [by_path(PATIENCE, false), limit(entries, PATIENCE, false)];
        tell(&worker, open(app.port()), &limits, None);
        let mut request = get("/p?q=1");
        request
            .head
            .headers
            .insert("x-user", HeaderValue::from_static("ann"));
        assert_eq!(send(&worker, app, Some("x"), request).await.head.status, 200);
        let refused = send(&worker, app, None, get("/bad")).await;
        assert_eq!(refused.head.status, 429);
        assert_eq!(refused.head.headers["retry-after"], "8");
        assert_eq!(refused.head.headers["x-ratelimit-limit"], "10");
        assert_eq!(refused.head.headers["wattle-reason"], "rate_limited");
        // A caller without identity lacks an entry of the second descriptor.
        let asked = questions.lock().unwrap().clone();
        assert_eq!(
            asked,
            [
                "shop path=/p who=td/ns/n/sa/x,method=GET,user=ann,kind=api",
                "shop path=/bad"
            ]
        );
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_service_that_fails_refuses_unless_the_limit_says_otherwise() {
    let run = async {
        let (worker, app) = (worker(), application(ok).await);
        service(&worker).await;
        for (allowed, expected) in [(false, 500), (true, 200)] {
            tell(&worker, open(app.port()), &[by_path(PATIENCE, allowed)], None);
            let response = send(&worker, app, None, get("/broken")).await;
            assert_eq!(response.head.status, expected);
            tell(
                &worker,
                open(app.port()),
                &[by_path(Duration::from_millis(20), allowed)],
                None,
            );
            let response = send(&worker, app, None, get("/silent")).await;
            assert_eq!(response.head.status, expected);
            if !allowed {
                assert_eq!(
                    response.head.headers["wattle-reason"],
                    "rate_limit_service_failure"
                );
            }
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_service_that_nobody_knows_refuses_and_is_not_asked_about_what_does_not_apply() {
    let run = async {
        let (worker, app) = (worker(), application(ok).await);
        let by_user = limit(
            vec![(
                "user".into(),
                DescriptorValue::Header(http::HeaderName::from_static("x-user")),
            )],
            PATIENCE,
            false,
        );
        tell(&worker, open(app.port()), &[by_user], None);
        assert_eq!(send(&worker, app, None, get("/")).await.head.status, 200);
        let mut request = get("/");
        request
            .head
            .headers
            .insert("x-user", HeaderValue::from_static("ann"));
        let refused = send(&worker, app, None, request).await;
        assert_eq!(
            refused.head.headers["wattle-reason"],
            "rate_limit_service_failure"
        );
    };
    LocalSet::new().run_until(run).await;
}
