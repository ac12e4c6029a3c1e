//! Accept: where the client meant to go.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use wattle_net::{Stream, original_destination};

/// A connection that was redirected to this proxy.
pub(crate) struct Accepted {
    /// Its bytes.
    pub(crate) stream: Stream,
    /// Who connected.
    pub(crate) peer: SocketAddr,
    /// The address the client dialled.
    pub(crate) destination: SocketAddr,
}

/// Finds out where a connection was meant to go; `None` for one that was dialled to the proxy itself, which would go in a circle.
pub(crate) fn accept(socket: TcpStream, peer: SocketAddr, listener: SocketAddr) -> Option<Accepted> {
    let destination = match original_destination(&socket, peer) {
        Ok(Some(destination)) => canonical(destination),
        Ok(None) => canonical(socket.local_addr().ok()?),
        Err(error) => {
            tracing::debug!(%peer, %error, "connection gone before it was looked at");
            return None;
        }
    };
    if destination.port() == listener.port() {
        tracing::info!(%peer, %destination, "connection to the proxy's own port refused: it would go in a circle");
        return None;
    }
    Some(Accepted {
        stream: socket.into(),
        peer: canonical(peer),
        destination,
    })
}

/// An IPv4 address that an IPv6 socket shows as mapped, as IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
