//! Discovery for Envoy and for gRPC programs of the workload, passed on to the control plane over mutual TLS.
//!
//! Each stream becomes a stream of its own, under the certificate of that moment. Whoever asks is, to the control plane,
//! this workload: its own name is written over what a program says it is called.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};
use wattle_envoy::bootstrap;
use wattle_wire::proto::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use wattle_wire::proto::discovery::aggregated_discovery_service_server::AggregatedDiscoveryService;
use wattle_wire::proto::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, MetadataValue, Node,
};

use crate::identity::{Credentials, control_channel};
use crate::settings::Settings;

/// Messages that wait in one direction of a stream; whoever sends more waits.
const MAX_WAITING: usize = 16;
/// Largest response, bytes: listeners come as a whole in the state of the world.
const MAX_RESPONSE: usize = 64 * 1024 * 1024;
/// Longest wait for the control plane to open a stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Who is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The workload's proxy.
    Envoy,
    /// A program whose connections the workload's proxy carries, and secures.
    Program,
    /// A program that holds the workload's certificate itself.
    Holder,
}

impl Asker {
    /// Makes a node the workload's own.
    fn name(self, node: &mut Node, name: &str) {
        name.clone_into(&mut node.id);
        if self == Self::Program {
            let fields = &mut node.metadata.get_or_insert_default().fields;
            let text = "true".to_owned();
            fields.insert(bootstrap::CARRIED_KEY.to_owned(), MetadataValue { text });
        }
    }
}

/// Facts about the streams, for admin pages.
#[derive(Debug, Default)]
pub(crate) struct RelayHealth {
    /// Streams that are open.
    pub(crate) open: AtomicU64,
    /// Seconds since 1970 of the last word from the control plane; 0 is never.
    pub(crate) last_heard_secs: AtomicU64,
    /// Responses refused since start.
    pub(crate) rejected: AtomicU64,
}

/// Passes streams on.
pub(crate) struct Relay {
    settings: Arc<Settings>,
    credentials: watch::Receiver<Option<Arc<Credentials>>>,
    asker: Asker,
    health: Arc<RelayHealth>,
}

/// A request in either protocol, as far as it matters here.
trait Introduces: Send + 'static {
    fn node(&mut self) -> &mut Option<Node>;
    fn refuses(&self) -> bool;
}

impl Introduces for DeltaDiscoveryRequest {
    fn node(&mut self) -> &mut Option<Node> {
        &mut self.node
    }

    fn refuses(&self) -> bool {
        self.error_detail.is_some()
    }
}

impl Introduces for DiscoveryRequest {
    fn node(&mut self) -> &mut Option<Node> {
        &mut self.node
    }

    fn refuses(&self) -> bool {
        self.error_detail.is_some()
    }
}

type Upstream = AggregatedDiscoveryServiceClient<Channel>;

impl Relay {
    pub(crate) fn new(
        settings: Arc<Settings>,
        credentials: watch::Receiver<Option<Arc<Credentials>>>,
        asker: Asker,
        health: Arc<RelayHealth>,
    ) -> Self {
        Self {
            settings,
            credentials,
            asker,
            health,
        }
    }

    /// A connection to the control plane under the certificate in use.
    async fn upstream(&self) -> Result<Upstream, Status> {
        let current = self.credentials.borrow().clone();
        let current = current.ok_or_else(|| Status::unavailable("the workload has no certificate yet"))?;
        let tls = current
            .control_client(&self.settings.control_id)
            .map_err(|error| Status::internal(error.to_string()))?;
        let opening = control_channel(&self.settings, tls);
        let channel = tokio::time::timeout(OPEN_TIMEOUT, opening)
            .await
            .map_err(|_| Status::unavailable("the control plane does not answer"))?
            .map_err(Status::unavailable)?;
        Ok(AggregatedDiscoveryServiceClient::new(channel).max_decoding_message_size(MAX_RESPONSE))
    }

    /// Passes requests on until the program says no more; they come out at the other end.
    fn requests<R: Introduces>(&self, mut from: Streaming<R>) -> ReceiverStream<R> {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let (name, asker, health) = (self.settings.inbound_name(), self.asker, self.health.clone());
        // Owned by its two ends: it ends with either.
        tokio::spawn(async move {
            let mut first = true;
            while let Ok(Some(mut request)) = from.message().await {
                if first || request.node().is_some() {
                    asker.name(request.node().get_or_insert_default(), &name);
                }
                first = false;
                if request.refuses() {
                    health.rejected.fetch_add(1, Ordering::Relaxed);
                }
                if sender.send(request).await.is_err() {
                    return;
                }
            }
        });
        ReceiverStream::new(receiver)
    }

    /// Passes responses on until the control plane says no more.
    fn responses<R: Send + 'static>(&self, mut from: Streaming<R>) -> ReceiverStream<Result<R, Status>> {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let (health, clock) = (self.health.clone(), self.settings.clock.clone());
        tokio::spawn(async move {
            health.open.fetch_add(1, Ordering::Relaxed);
            loop {
                let message = tokio::select! {
                    message = from.message() => message,
                    () = sender.closed() => break,
                };
                let Some(message) = message.transpose() else { break };
                health.last_heard_secs.store(clock.unix_secs(), Ordering::Relaxed);
                let ended = message.is_err();
                if sender.send(message).await.is_err() || ended {
                    break;
                }
            }
            health.open.fetch_sub(1, Ordering::Relaxed);
        });
        ReceiverStream::new(receiver)
    }
}

#[tonic::async_trait]
impl AggregatedDiscoveryService for Relay {
    type StreamAggregatedResourcesStream = ReceiverStream<Result<DiscoveryResponse, Status>>;
    type DeltaAggregatedResourcesStream = ReceiverStream<Result<DeltaDiscoveryResponse, Status>>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        let requests = self.requests(request.into_inner());
        let answered = self
            .upstream()
            .await?
            .stream_aggregated_resources(requests)
            .await?;
        Ok(Response::new(self.responses(answered.into_inner())))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let requests = self.requests(request.into_inner());
        let answered = self
            .upstream()
            .await?
            .delta_aggregated_resources(requests)
            .await?;
        Ok(Response::new(self.responses(answered.into_inner())))
    }
}
