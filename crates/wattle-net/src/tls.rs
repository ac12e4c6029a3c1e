//! TLS on a [`Stream`]: accepting, dialling, and what the handshake found out.
//!
//! Uses the rustls connections without buffers of their own: records are read and written in the
//! thread's pooled buffers, 64 KiB at a time, and an idle connection holds only its keys.
//! A failure after the handshake is an [`io::Error`]; [`cause`] finds the rustls error in it.

mod handshake;
mod session;
mod stream;
mod tie;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, ServerConfig};

use crate::stream::{Stream, Transport};
pub use tie::Tie;

/// TLS that we accepted, as a stream of plain bytes.
pub type TlsServer = stream::TlsStream<UnbufferedServerConnection>;
/// TLS that we dialled, as a stream of plain bytes.
pub type TlsClient = stream::TlsStream<UnbufferedClientConnection>;

/// A finished handshake of an accepted connection.
pub struct TlsAccepted {
    /// The plain bytes.
    pub stream: Stream,
    /// The server name the client asked for, lower case.
    pub sni: Option<String>,
    /// What both sides agreed on.
    pub agreed: Agreed,
}

/// A finished handshake of a dialled connection. The server may still refuse our certificate: in
/// TLS 1.3 that shows at the first read.
pub struct TlsConnected {
    /// The plain bytes.
    pub stream: Stream,
    /// What both sides agreed on.
    pub agreed: Agreed,
}

/// What a handshake agreed on.
#[derive(Clone, Debug)]
pub struct Agreed {
    /// The application protocol (RFC 7301).
    pub alpn: Option<Bytes>,
    /// The peer's chain, leaf first; empty when it showed none. Kept over resumption.
    pub peer_certificates: Vec<CertificateDer<'static>>,
    /// Protocol version, such as `TLSv1_3`.
    pub version: Option<rustls::ProtocolVersion>,
    /// Cipher suite.
    pub cipher: Option<rustls::CipherSuite>,
    /// Key exchange group, such as `X25519MLKEM768`; `None` when a resumption needed none.
    pub key_exchange: Option<rustls::NamedGroup>,
    /// Whether certificates were not verified again, since an earlier session was resumed.
    pub resumed: bool,
}

/// How far a handshake had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The configuration or the server name could not be used; nothing was sent.
    Setup,
    /// The peer has not said anything yet.
    Hello,
    /// The peer has answered and the handshake was under way.
    Negotiation,
}

impl Phase {
    /// A stable name for logs and metrics.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Hello => "hello",
            Self::Negotiation => "negotiation",
        }
    }
}

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not finished in time.
    #[error("tls handshake: not finished within {timeout:?}")]
    TimedOut {
        /// How far it had come.
        phase: Phase,
        /// How long was waited.
        timeout: Duration,
    },
    /// The peer closed the connection without a TLS alert.
    #[error("tls handshake: closed by the peer")]
    Closed {
        /// How far it had come.
        phase: Phase,
    },
    /// The connection below failed.
    #[error("tls handshake: connection failed")]
    Io {
        /// How far it had come.
        phase: Phase,
        /// The kernel's error.
        source: io::Error,
    },
    /// The peer or its certificate is not acceptable, or ours is not to the peer.
    #[error("tls handshake: failed")]
    Protocol {
        /// How far it had come.
        phase: Phase,
        /// What rustls found.
        source: rustls::Error,
    },
}

impl TlsError {
    /// How far the handshake had come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::TimedOut { phase, .. }
            | Self::Closed { phase }
            | Self::Io { phase, .. }
            | Self::Protocol { phase, .. } => *phase,
        }
    }

    /// A stable name for logs and metrics.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::TimedOut { .. } => "tls_timed_out",
            Self::Closed { .. } => "tls_closed",
            Self::Io { .. } => "tls_connection_failed",
            Self::Protocol { .. } => "tls_failed",
        }
    }

    /// What rustls found, when the failure is one of the protocol.
    #[must_use]
    pub fn protocol(&self) -> Option<&rustls::Error> {
        match self {
            Self::Protocol { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The rustls error inside an I/O error of a TLS stream, such as the peer's alert.
#[must_use]
pub fn cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Takes the server's part of a handshake.
///
/// # Errors
/// [`TlsError`]; the alert that says why was sent as far as the peer took it, and the connection is gone.
pub async fn accept(
    stream: Stream,
    config: Arc<ServerConfig>,
    timeout: Duration,
) -> Result<TlsAccepted, TlsError> {
    let session = UnbufferedServerConnection::new(config).map_err(setup)?;
    let mut tls = Box::new(stream::TlsStream::new(stream, session));
    let mut hello = handshake::HelloCopy::default();
    handshake::run(&mut tls, timeout, Some(&mut hello)).await?;
    let agreed = agreed(tls.state());
    Ok(TlsAccepted {
        sni: hello.sni(),
        agreed,
        stream: Transport::TlsServer(tls).into(),
    })
}

/// Takes the client's part of a handshake.
///
/// # Errors
/// [`TlsError`]; the connection is gone.
pub async fn connect(
    stream: Stream,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    timeout: Duration,
) -> Result<TlsConnected, TlsError> {
    let session = UnbufferedClientConnection::new(config, name).map_err(setup)?;
    let mut tls = Box::new(stream::TlsStream::new(stream, session));
    handshake::run(&mut tls, timeout, None).await?;
    let agreed = agreed(tls.state());
    Ok(TlsConnected {
        agreed,
        stream: Transport::TlsClient(tls).into(),
    })
}

fn setup(source: rustls::Error) -> TlsError {
    TlsError::Protocol {
        phase: Phase::Setup,
        source,
    }
}

fn agreed(state: &rustls::CommonState) -> Agreed {
    Agreed {
        alpn: state.alpn_protocol().map(Bytes::copy_from_slice),
        peer_certificates: state.peer_certificates().unwrap_or_default().to_vec(),
        version: state.protocol_version(),
        cipher: state.negotiated_cipher_suite().map(|suite| suite.suite()),
        key_exchange: state.negotiated_key_exchange_group().map(|group| group.name()),
        resumed: state.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
    }
}
