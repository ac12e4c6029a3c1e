//! Aggregated discovery, delta and state of the world: one task for each stream, between the connection and the hub.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use wattle_identity::Peer;
use wattle_net::Clock;
use wattle_wire::proto::discovery::aggregated_discovery_service_server::AggregatedDiscoveryService;
use wattle_wire::proto::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};

use super::{Caller, Services};
use crate::hub::{self, Command, HubHandle, Outgoing};
use crate::metrics::{Metrics, count};

pub(crate) struct Discovery {
    hub: HubHandle,
    clock: Clock,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    next: AtomicU64,
}

impl Discovery {
    pub(crate) fn new(services: &Services) -> Self {
        let (hub, clock, metrics, stop) = (
            services.hub.clone(),
            services.clock.clone(),
            services.metrics.clone(),
            services.stop.clone(),
        );
        Self {
            hub,
            clock,
            metrics,
            stop,
            next: AtomicU64::new(1),
        }
    }
}

/// The peer that a call comes from; a call without a valid certificate is refused.
fn proven(caller: Option<&Caller>, now: SystemTime) -> Result<(Peer, SocketAddr), Box<Status>> {
    let refuse = |why: &str| Box::new(Status::unauthenticated(why.to_owned()));
    let caller = caller.ok_or_else(|| refuse("the connection has no caller"))?;
    let peer = caller
        .peer
        .clone()
        .ok_or_else(|| refuse("discovery needs a client certificate"))?;
    peer.check_time(now)
        .map_err(|rejection| refuse(&rejection.to_string()))?;
    Ok((peer, caller.address))
}

impl Discovery {
    /// Opens a stream with the hub and passes on what is said, until either side has enough.
    async fn open<R: Send + 'static>(
        &self,
        request: Request<Streaming<R>>,
        outgoing: Outgoing,
        word: fn(R) -> hub::Request,
    ) -> Result<(), Status> {
        let (peer, address) =
            proven(request.extensions().get::<Caller>(), self.clock.now()).map_err(|status| {
                count(&self.metrics.streams_refused);
                *status
            })?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let opened = Command::Opened(id, peer.clone().into(), address, outgoing.clone());
        self.hub
            .tell(opened)
            .await
            .map_err(|gone| Status::unavailable(gone.to_string()))?;
        let (hub, clock, stop) = (self.hub.clone(), self.clock.clone(), self.stop.clone());
        let requests = request.into_inner();
        // Owned by the stream: it ends with either direction, with the certificate or with the control plane.
        tokio::spawn(async move {
            let end = tokio::select! {
                () = listen(id, requests, word, &hub) => None,
                () = outgoing.closed() => None,
                // Who was proven an hour ago need not be who is there now.
                () = clock.until(peer.not_after()) => Some(Status::unauthenticated("the certificate of the connection has expired")),
                () = stop.cancelled() => Some(Status::unavailable("the control plane is stopping")),
            };
            if let Some(status) = end {
                let _ = outgoing.try_send(Err(status));
            }
            let _ = hub.tell(Command::Closed(id)).await;
        });
        Ok(())
    }
}

#[tonic::async_trait]
impl AggregatedDiscoveryService for Discovery {
    type DeltaAggregatedResourcesStream = ReceiverStream<Result<DeltaDiscoveryResponse, Status>>;
    type StreamAggregatedResourcesStream = ReceiverStream<Result<DiscoveryResponse, Status>>;

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let (outgoing, answers) = mpsc::channel(HubHandle::MAX_OUTGOING);
        self.open(request, Outgoing::Delta(outgoing), hub::Request::Delta)
            .await?;
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        let (outgoing, answers) = mpsc::channel(HubHandle::MAX_OUTGOING);
        self.open(request, Outgoing::World(outgoing), hub::Request::World)
            .await?;
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

/// Passes on what the proxy says, until it says no more.
async fn listen<R>(id: u64, mut requests: Streaming<R>, word: fn(R) -> hub::Request, hub: &HubHandle) {
    loop {
        match requests.message().await {
            Ok(Some(request)) => {
                if hub
                    .tell(Command::Requested(id, Box::new(word(request))))
                    .await
                    .is_err()
                {
                    return;
                }
            }
            Ok(None) => return,
            Err(status) => {
                tracing::debug!(stream = id, cause = %status, "discovery stream ended");
                return;
            }
        }
    }
}
