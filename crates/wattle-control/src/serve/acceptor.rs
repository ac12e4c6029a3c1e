//! TLS on the discovery port: bounded handshakes, and the proven name beside each connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;
use wattle_identity::{Peer, Rejection};

use crate::issuer::Issuer;
use crate::metrics::{Metrics, count};

/// Longest handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at a time; further connections wait in the kernel's queue.
const MAX_HANDSHAKES: usize = 128;
/// Open connections; further ones wait.
const MAX_CONNECTIONS: usize = 16_384;
/// Wait after the kernel refused a connection, as when descriptors run out.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Who is at the far end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// What its certificate proved; none when it showed none.
    pub(crate) peer: Option<Peer>,
    /// Where it comes from.
    pub(crate) address: SocketAddr,
}

/// A connection past its handshake.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    caller: Caller,
    /// Its place among [`MAX_CONNECTIONS`].
    _place: Place,
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
    metrics: Arc<Metrics>,
    places: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
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
}

impl Acceptor {
    pub(crate) fn new(issuer: Arc<Issuer>, metrics: Arc<Metrics>) -> Self {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
        Self { issuer, metrics, places, handshakes }
    }

    /// Accepts until stopped or until nobody takes connections any more.
    pub(crate) async fn run(self, listener: TcpListener, ready: mpsc::Sender<io::Result<Connection>>, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&listener) => accepted,
                () = stop.cancelled() => return,
                () = ready.closed() => return,
            };
            match accepted {
                Ok((socket, address, place, shaking)) => self.shake(socket, address, place, shaking, &ready, &stop),
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr, Place, OwnedSemaphorePermit)> {
        let shaking = self.handshakes.clone().acquire_owned().await.map_err(io::Error::other)?;
        let permit = self.places.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (socket, address) = listener.accept().await?;
        socket.set_nodelay(true)?;
        self.metrics.connections.fetch_add(1, Ordering::Relaxed);
        let place = Place { _permit: permit, metrics: self.metrics.clone() };
        Ok((socket, address, place, shaking))
    }

    fn shake(
        &self,
        socket: TcpStream,
        address: SocketAddr,
        place: Place,
        shaking: OwnedSemaphorePermit,
        ready: &mpsc::Sender<io::Result<Connection>>,
        stop: &CancellationToken,
    ) {
        let (ready, stop, metrics) = (ready.clone(), stop.clone(), self.metrics.clone());
        let acceptor = TlsAcceptor::from(self.issuer.server());
        // Owned by its timeout: it ends within [`HANDSHAKE`], or at once when stopped.
        tokio::spawn(async move {
            let shaken = tokio::select! {
                shaken = handshake(acceptor, socket) => shaken,
                () = stop.cancelled() => return,
            };
            drop(shaking);
            match shaken {
                Ok((stream, peer)) => {
                    let _ = ready.send(Ok(Connection { stream, caller: Caller { peer, address }, _place: place })).await;
                }
                Err(error) => {
                    count(&metrics.handshakes_failed);
                    tracing::info!(%address, cause = %error, "connection refused");
                }
            }
        });
    }
}

async fn handshake(acceptor: TlsAcceptor, socket: TcpStream) -> Result<(TlsStream<TcpStream>, Option<Peer>), HandshakeError> {
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await {
        Err(_) => return Err(HandshakeError::Timeout),
        Ok(Err(error)) => return Err(Rejection::from_io_error(&error).map_or(HandshakeError::Failed(error), HandshakeError::Rejected)),
        Ok(Ok(stream)) => stream,
    };
    let chain = stream.get_ref().1.peer_certificates();
    let peer = match chain {
        Some(chain) if !chain.is_empty() => {
            let peer = Peer::from_chain(chain)?;
            peer.check_time(SystemTime::now())?;
            Some(peer)
        }
        _ => None,
    };
    Ok((stream, peer))
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
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
