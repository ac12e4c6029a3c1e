use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

use crate::tls::{Tie, TlsClient, TlsServer};

/// One connection as a stream of plain bytes, whatever carries it.
///
/// `shutdown` closes the sending half only: what the peer still sends can be read until its end.
pub struct Stream {
    /// Bytes that were read ahead and belong in front of what the transport gives next.
    unread: Bytes,
    transport: Transport,
}

/// What carries a [`Stream`]; the large ones are boxed so that a stream stays small in futures.
#[non_exhaustive]
pub enum Transport {
    /// A socket, in the clear.
    Tcp(TcpStream),
    /// TLS that we accepted.
    TlsServer(Box<TlsServer>),
    /// TLS that we dialled.
    TlsClient(Box<TlsClient>),
    /// A pipe within this process: tests, and the inside of a tunnel.
    Memory(DuplexStream),
}

impl Stream {
    /// Puts bytes back that were read but belong to whoever reads next.
    pub fn unread(&mut self, bytes: Bytes) {
        if self.unread.is_empty() {
            self.unread = bytes;
            return;
        }
        let both = [&bytes[..], &self.unread[..]].concat();
        self.unread = both.into();
    }

    /// The bytes that were put back and not read again yet.
    #[must_use]
    pub fn peeked(&self) -> &[u8] {
        &self.unread
    }

    /// What carries this stream.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Whether the bytes are encrypted on the wire.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self.transport, Transport::TlsServer(_) | Transport::TlsClient(_))
    }

    /// The socket below, if a socket is below.
    #[must_use]
    pub fn socket(&self) -> Option<&TcpStream> {
        match &self.transport {
            Transport::Tcp(socket) => Some(socket),
            Transport::TlsServer(tls) => tls.inner().socket(),
            Transport::TlsClient(tls) => tls.inner().socket(),
            Transport::Memory(_) => None,
        }
    }

    /// Our address on the socket below; `None` for a pipe or a dead socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.socket()?.local_addr().ok()
    }

    /// The peer's address on the socket below; `None` for a pipe or a dead socket.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.socket()?.peer_addr().ok()
    }

    /// Ties an encrypted stream; what is in the clear rests on nothing, and stays as it is.
    pub fn tie(&mut self, tie: Tie) {
        match &mut self.transport {
            Transport::TlsServer(tls) => tls.tie(tie),
            Transport::TlsClient(tls) => tls.tie(tie),
            Transport::Tcp(_) | Transport::Memory(_) => {}
        }
    }

    /// Closes at once and tells a TCP peer by a reset that the bytes so far are not all there is.
    pub fn abort(self) {
        if let Some(socket) = self.socket() {
            // Without lingering, close sends RST; a dead socket needs none.
            let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }

    /// The plain socket, when nothing lies between it and the reader.
    pub(crate) fn bare_socket(&self) -> Option<&TcpStream> {
        match &self.transport {
            Transport::Tcp(socket) if self.unread.is_empty() => Some(socket),
            _ => None,
        }
    }
}

impl From<Transport> for Stream {
    fn from(transport: Transport) -> Self {
        Self {
            unread: Bytes::new(),
            transport,
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(socket: TcpStream) -> Self {
        Transport::Tcp(socket).into()
    }
}

impl From<DuplexStream> for Stream {
    fn from(pipe: DuplexStream) -> Self {
        Transport::Memory(pipe).into()
    }
}

macro_rules! each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match &mut $stream.get_mut().transport {
            Transport::Tcp(io) => {
                let $inner = Pin::new(io);
                $call
            }
            Transport::TlsServer(io) => {
                let $inner = Pin::new(io.as_mut());
                $call
            }
            Transport::TlsClient(io) => {
                let $inner = Pin::new(io.as_mut());
                $call
            }
            Transport::Memory(io) => {
                let $inner = Pin::new(io);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let count = self.unread.len().min(into.remaining());
            into.put_slice(&self.unread[..count]);
            self.unread.advance(count);
            if self.unread.is_empty() {
                // Lets go of the allocation, which `advance` keeps.
                self.unread = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        each!(self, io => io.poll_read(cx, into))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, io => io.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, io => io.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        !matches!(self.transport, Transport::Memory(_))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => io.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_and_a_relay_stay_small_in_futures() {
        assert!(size_of::<Stream>() <= 72, "{}", size_of::<Stream>());
        fn size<F>(_: impl Fn(Stream, Stream) -> F) -> usize {
            size_of::<F>()
        }
        let relay = size(|a, b| crate::relay(a, b, crate::RelayOptions::default()));
        assert!(relay <= 1024, "{relay}");
    }
}
