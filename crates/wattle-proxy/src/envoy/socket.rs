//! The agent's socket, for programs of its own user alone.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use wattle_wire::proto::discovery::aggregated_discovery_service_server::AggregatedDiscoveryServiceServer;
use wattle_wire::proto::secret::secret_discovery_service_server::SecretDiscoveryServiceServer;

use super::secrets::Secrets;
use crate::identity::Credentials;
use crate::programs::relay::{Asker, Relay, RelayHealth};
use crate::settings::Settings;

/// Streams one connection may have open.
const MAX_STREAMS: u32 = 64;
/// Largest request, bytes: a reconnect names all subscriptions with their versions.
const MAX_REQUEST: usize = 16 * 1024 * 1024;

/// Where the socket is: in the directory that only the proxy's user may enter.
pub(super) fn path(settings: &Settings) -> PathBuf {
    settings.state.join("agent.sock")
}

/// Serves discovery and secrets as long as it is polled.
pub(super) fn serve(
    settings: &Arc<Settings>,
    credentials: watch::Receiver<Option<Arc<Credentials>>>,
    health: Arc<RelayHealth>,
) -> io::Result<impl Future<Output = io::Result<()>> + use<>> {
    let listener = bind(&path(settings))?;
    let relay = Relay::new(settings.clone(), credentials.clone(), Asker::Envoy, health);
    let discovery = AggregatedDiscoveryServiceServer::new(relay).max_decoding_message_size(MAX_REQUEST);
    let secrets = SecretDiscoveryServiceServer::new(Secrets::new(credentials));
    let serving = Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .add_service(discovery)
        .add_service(secrets)
        .serve_with_incoming(UnixListenerStream::new(listener));
    Ok(async move { serving.await.map_err(io::Error::other) })
}

/// A socket only for its owner; what an agent that died left in its place is removed.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
