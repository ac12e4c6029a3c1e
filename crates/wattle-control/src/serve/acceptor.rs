//! TLS on the discovery port: bounded handshakes, and the proven name beside each connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;
use wattle_identity::{Peer, Rejection};
use wattle_net::Clock;

use super::Services;
use super::room::{Room, Seat};
use crate::issuer::Issuer;
use crate::metrics::{Metrics, count};

/// Longest handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at a time, of all and of one address; further ones wait.
const MAX_HANDSHAKES: (usize, usize) = (128, 32);
/// Open connections; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 16_384;
/// Connections of one address that are not past their handshake; further ones are refused.
const MAX_ARRIVALS: usize = 2_048;
/// Open connections of callers without a certificate, who can only be here for their first, of all and of one address;
/// further ones are refused.
const MAX_STRANGERS: (usize, usize) = (512, 128);
/// Longest life of such a connection.
const STRANGER_LIFE: Duration = Duration::from_secs(30);
/// Wait after the kernel refused a connection, as when descriptors run out.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Who is at the far end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// What its certificate proved; none when it showed none.
    pub(crate) peer: Option<Peer>,
    /// The certificate and what came with it, leaf first; empty when it showed none.
    pub(crate) chain: Arc<[CertificateDer<'static>]>,
    /// Where it comes from.
    pub(crate) address: SocketAddr,
}

/// A connection past its handshake.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    caller: Caller,
    stranger: Option<Stranger>,
    /// Its place among [`MAX_CONNECTIONS`].
    _place: Place,
}

/// Bounds a connection whose far end has no name.
struct Stranger {
    end: Pin<Box<Sleep>>,
    /// Its place among [`MAX_STRANGERS`].
    _seat: Seat,
}

/// A connection before its handshake.
struct Arrival {
    socket: TcpStream,
    address: SocketAddr,
    place: Place,
    /// Its place among [`MAX_ARRIVALS`].
    arriving: Seat,
}

/// Held as long as a connection is open.
struct Place {
    _permit: OwnedSemaphorePermit,
    metrics: Arc<Metrics>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) struct Acceptor {
    issuer: Arc<Issuer>,
    clock: Clock,
    metrics: Arc<Metrics>,
    places: Arc<Semaphore>,
    rooms: Rooms,
    ready: mpsc::Sender<io::Result<Connection>>,
    stop: CancellationToken,
}

/// Where one address may have a share only.
#[derive(Clone)]
struct Rooms {
    arrivals: Room,
    handshakes: Room,
    strangers: Room,
}

impl Rooms {
    fn new() -> Self {
        let room = |(places, share)| Room::new(places, share);
        Self {
            arrivals: room((MAX_CONNECTIONS, MAX_ARRIVALS)),
            handshakes: room(MAX_HANDSHAKES),
            strangers: room(MAX_STRANGERS),
        }
    }
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error("handshake took longer than {} s", HANDSHAKE.as_secs())]
    Timeout,
    #[error("handshake failed: {0}")]
    Failed(io::Error),
    #[error("certificate refused: {0}")]
    Rejected(#[from] Rejection),
    #[error("too many connections without a certificate, at most {} expected, {} of one address", MAX_STRANGERS.0, MAX_STRANGERS.1)]
    Crowded,
    #[error("too many connections before their handshake, at most {MAX_ARRIVALS} of one address expected")]
    Swarm,
    #[error("the authority has ended, it needs a repair")]
    Ended,
}

impl Acceptor {
    pub(crate) fn new(services: &Services, ready: mpsc::Sender<io::Result<Connection>>) -> Self {
        Self {
            issuer: services.issuer.clone(),
            clock: services.clock.clone(),
            metrics: services.metrics.clone(),
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            rooms: Rooms::new(),
            ready,
            stop: services.stop.clone(),
        }
    }

    /// Accepts until stopped or until nobody takes connections any more.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&listener) => accepted,
                () = self.stop.cancelled() => return,
                () = self.ready.closed() => return,
            };
            match accepted {
                Ok((socket, address, place)) => match self.rooms.arrivals.try_enter(address.ip()) {
                    None => self.refused(address, &HandshakeError::Swarm),
                    Some(arriving) => self.welcome(Arrival {
                        socket,
                        address,
                        place,
                        arriving,
                    }),
                },
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr, Place)> {
        let permit = self
            .places
            .clone()
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let (socket, address) = listener.accept().await?;
        socket.set_nodelay(true)?;
        self.metrics.connections.fetch_add(1, Ordering::Relaxed);
        let place = Place {
            _permit: permit,
            metrics: self.metrics.clone(),
        };
        Ok((socket, address, place))
    }

    fn welcome(self: &Arc<Self>, arrival: Arrival) {
        let acceptor = self.clone();
        let address = arrival.address;
        // Owned by its timeout: it ends within [`HANDSHAKE`], or at once when stopped.
        tokio::spawn(async move {
            let shaken = tokio::select! {
                shaken = acceptor.shake(arrival) => shaken,
                () = acceptor.stop.cancelled() => return,
            };
            match shaken {
                Ok(connection) => drop(acceptor.ready.send(Ok(connection)).await),
                Err(error) => acceptor.refused(address, &error),
            }
        });
    }

    fn refused(&self, address: SocketAddr, error: &HandshakeError) {
        count(&self.metrics.handshakes_failed);
        tracing::info!(%address, cause = %error, "connection refused");
    }

    /// Makes a connection of an arrival, unless its handshake fails or there are too many without a name already.
    async fn shake(&self, arrival: Arrival) -> Result<Connection, HandshakeError> {
        let Arrival {
            socket,
            address,
            place,
            arriving,
        } = arrival;
        let (stream, peer) = tokio::time::timeout(HANDSHAKE, self.handshake(socket, address.ip()))
            .await
            .map_err(|_| HandshakeError::Timeout)??;
        drop(arriving);
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default().into();
        let stranger = match peer {
            Some(_) => None,
            None => Some(Stranger {
                end: Box::pin(tokio::time::sleep(STRANGER_LIFE)),
                _seat: self
                    .rooms
                    .strangers
                    .try_enter(address.ip())
                    .ok_or(HandshakeError::Crowded)?,
            }),
        };
        Ok(Connection {
            stream,
            caller: Caller { peer, chain, address },
            stranger,
            _place: place,
        })
    }

    /// Waits for its turn, and proves who is there.
    async fn handshake(
        &self,
        socket: TcpStream,
        address: IpAddr,
    ) -> Result<(TlsStream<TcpStream>, Option<Peer>), HandshakeError> {
        let _shaking = self
            .rooms
            .handshakes
            .enter(address)
            .await
            .ok_or(HandshakeError::Swarm)?;
        let own = self.issuer.server().ok_or(HandshakeError::Ended)?;
        let stream = TlsAcceptor::from(own).accept(socket).await.map_err(|error| {
            Rejection::from_io_error(&error).map_or(HandshakeError::Failed(error), HandshakeError::Rejected)
        })?;
        let chain = stream.get_ref().1.peer_certificates();
        let peer = match chain {
            Some(chain) if !chain.is_empty() => {
                let peer = Peer::from_chain(chain)?;
                peer.check_time(self.clock.now())?;
                Some(peer)
            }
            _ => None,
        };
        Ok((stream, peer))
    }
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(stranger) = &mut self.stranger
            && stranger.end.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
