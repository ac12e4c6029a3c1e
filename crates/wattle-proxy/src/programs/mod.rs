//! Discovery for programs of the workload that speak gRPC with xDS: they choose endpoints, their proxy carries the calls.
//!
//! Discovery is passed on from a loopback port ([`relay`]): programs cannot be asked to have a certificate, and some cannot
//! dial Unix sockets (gRPC's C core puts their path into `:authority`, where a path cannot be). The directory [`directory`] is
//! the one place of a proxy that its application may see; in it is the bootstrap that names the port, and no key. Connections
//! to the endpoints are redirected like any other, so it is the proxy that proves who calls. Without a proxy the workload's
//! [`agent`] shows them a certificate and its key as well.

pub(crate) mod agent;
mod certificates;
mod pages;
pub(crate) mod relay;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use wattle_envoy::bootstrap;
use wattle_model::port;
use wattle_wire::proto::discovery::aggregated_discovery_service_server::AggregatedDiscoveryServiceServer;

use crate::config::write_public;
use crate::identity::Credentials;
use crate::settings::Settings;
use relay::{Asker, Relay, RelayHealth};

/// Streams one connection may have open.
const MAX_STREAMS: u32 = 16;
/// Largest request, bytes.
const MAX_REQUEST: usize = 1024 * 1024;

/// What programs of the workload may see.
pub(crate) fn directory(settings: &Settings) -> PathBuf {
    settings.state.join(Settings::PROGRAMS)
}

/// Serves discovery for programs as long as it is polled; a proxy does its work without, so a failure is only said.
pub(crate) async fn serve(settings: Arc<Settings>, credentials: watch::Receiver<Option<Arc<Credentials>>>) {
    if let Err(error) = serving(settings, credentials).await {
        tracing::warn!(%error, "programs of the workload get no discovery");
    }
}

async fn serving(
    settings: Arc<Settings>,
    credentials: watch::Receiver<Option<Arc<Credentials>>>,
) -> io::Result<()> {
    let directory = directory(&settings);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&directory)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port::PROGRAMS));
    let listener = TcpListener::bind(address).await?;
    let bootstrap = bootstrap::Grpc {
        node: &settings.inbound_name(),
        server: address,
        certificates: None,
    };
    let file = directory.join(Settings::GRPC_BOOTSTRAP);
    write_public(&file, bootstrap.bootstrap().to_string().as_bytes())?;
    let relay = Relay::new(
        settings,
        credentials,
        Asker::Program,
        Arc::<RelayHealth>::default(),
    );
    discovery(listener, relay).await
}

/// Serves discovery at a listener as long as it is polled.
async fn discovery(listener: TcpListener, relay: Relay) -> io::Result<()> {
    let discovery = AggregatedDiscoveryServiceServer::new(relay).max_decoding_message_size(MAX_REQUEST);
    Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .add_service(discovery)
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
        .map_err(io::Error::other)
}
