//! A rate limit service of Envoy's own messages (`envoy.service.ratelimit.v3`), in the place of a workload.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::service::ratelimit::v3 as rls;
use envoy_types::pb::google::protobuf::Duration;
use rls::rate_limit_response::{Code, DescriptorStatus};
use rls::rate_limit_service_server::{RateLimitService, RateLimitServiceServer};
use tokio::sync::oneshot;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use wattle_testkit::Spot;

/// Entries of a descriptor, each a key and a value.
pub(crate) type Entries = Vec<(String, String)>;
/// Seconds until a limit is fresh again, as the service says.
pub(crate) const RESET: i64 = 7;

/// A running service; it ends, with its connections, when it is dropped.
pub(crate) struct Limiter {
    counted: Counted,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How often each descriptor of each domain was asked about.
#[derive(Clone, Default)]
struct Counted(Arc<Mutex<BTreeMap<(String, Entries), u32>>>);

impl Limiter {
    /// Lets `allowed` requests of each descriptor pass; about one with an entry `never` it does not answer.
    pub(crate) fn start(spot: &Spot, port: u16, allowed: u32) -> Self {
        let listener = spot
            .enter(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))
            .unwrap();
        listener.set_nonblocking(true).unwrap();
        let counted = Counted::default();
        let service = Service {
            counted: counted.clone(),
            allowed,
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || serve(listener, service, stopped));
        Self {
            counted,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// What was asked so far, and how often.
    pub(crate) fn asked(&self) -> BTreeMap<(String, Entries), u32> {
        self.counted.0.lock().unwrap().clone()
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()) || std::thread::panicking());
    }
}

fn serve(listener: TcpListener, service: Service, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    // What is open ends with the runtime: nobody waits for those who wait for an answer.
    runtime.block_on(async {
        let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener).unwrap());
        let service = RateLimitServiceServer::new(service);
        tokio::select! {
            served = Server::builder().add_service(service).serve_with_incoming(incoming) => served.unwrap(),
            _ = stopped => {}
        }
    });
}

struct Service {
    counted: Counted,
    allowed: u32,
}

#[tonic::async_trait]
impl RateLimitService for Service {
    async fn should_rate_limit(
        &self,
        request: Request<rls::RateLimitRequest>,
    ) -> Result<Response<rls::RateLimitResponse>, Status> {
        let request = request.into_inner();
        let mut answer = rls::RateLimitResponse::default();
        let mut overall = Code::Ok;
        for descriptor in request.descriptors {
            let entries: Entries = descriptor
                .entries
                .into_iter()
                .map(|entry| (entry.key, entry.value))
                .collect();
            let silent = entries.iter().any(|(key, _)| key == "never");
            let asked = {
                let mut counted = self.counted.0.lock().unwrap();
                let asked = counted.entry((request.domain.clone(), entries)).or_default();
                *asked += request.hits_addend.max(1);
                *asked
            };
            if silent {
                std::future::pending::<()>().await;
            }
            let code = if asked > self.allowed {
                Code::OverLimit
            } else {
                Code::Ok
            };
            if code == Code::OverLimit {
                overall = code;
            }
            answer.statuses.push(DescriptorStatus {
                code: code.into(),
                duration_until_reset: Some(Duration {
                    seconds: RESET,
                    nanos: 0,
                }),
                ..DescriptorStatus::default()
            });
        }
        answer.overall_code = overall.into();
        answer.response_headers_to_add.push(HeaderValue {
            key: "x-limited-by".to_owned(),
            value: request.domain,
            ..HeaderValue::default()
        });
        Ok(Response::new(answer))
    }
}
