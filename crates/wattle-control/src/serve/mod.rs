//! The port that proxies dial: TLS, then discovery and certificates over gRPC.

mod acceptor;
mod certificate;
mod discovery;
mod room;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use wattle_net::Clock;
use wattle_wire::proto::certificate::istio_certificate_service_server::IstioCertificateServiceServer;
use wattle_wire::proto::discovery::aggregated_discovery_service_server::AggregatedDiscoveryServiceServer;

use crate::hub::HubHandle;
use crate::issuer::Issuer;
use crate::metrics::Metrics;
pub(crate) use acceptor::Caller;
use acceptor::{Acceptor, Connection};

/// Largest discovery request, bytes: a reconnect names all subscriptions with their versions.
const MAX_REQUEST: usize = 16 * 1024 * 1024;
/// Largest certificate request, bytes.
const MAX_CSR: usize = 64 * 1024;
/// Streams and calls one connection may have open.
const MAX_STREAMS: u32 = 16;
/// A connection without a word for so long is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Longest wait for its answer.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes that may be finished and not taken yet.
const MAX_WAITING: usize = 64;

/// What both services need.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) hub: HubHandle,
    pub(crate) clock: Clock,
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stop: CancellationToken,
}

/// Serves proxies until stopped; open streams are told to go elsewhere.
pub(crate) async fn serve(listener: TcpListener, services: Services) -> Result<(), tonic::transport::Error> {
    let (sender, connections) = mpsc::channel::<Result<Connection, std::io::Error>>(MAX_WAITING);
    let acceptor = Arc::new(Acceptor::new(&services, sender));
    let accepting = tokio::spawn(acceptor.run(listener));
    let stop = services.stop.clone();
    let discovery = AggregatedDiscoveryServiceServer::new(discovery::Discovery::new(&services))
        .max_decoding_message_size(MAX_REQUEST);
    let certificates = IstioCertificateServiceServer::new(certificate::Certificates::new(services))
        .max_decoding_message_size(MAX_CSR);
    let served = Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_header_list_size(16 * 1024)
        .add_service(discovery)
        .add_service(certificates)
        .serve_with_incoming_shutdown(ReceiverStream::new(connections), stop.cancelled_owned())
        .await;
    let _ = accepting.await;
    served
}
