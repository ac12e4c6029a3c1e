//! Dialling an address, with an error that says which side of the wire is to blame.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpSocket, TcpStream};

/// How a connection is dialled.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// Local address to dial from. Default: the kernel chooses.
    pub source: Option<IpAddr>,
    /// Mark on every packet (SO_MARK, needs CAP_NET_ADMIN). Default none.
    pub mark: Option<u32>,
    /// Longest wait for the connection. Default 5 s.
    pub timeout: Duration,
    /// Idle time before the kernel probes whether the peer lives; `None` never probes. Default 60 s.
    pub keepalive: Option<Keepalive>,
    /// Sends small writes at once (TCP_NODELAY). Default true.
    pub nodelay: bool,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            source: None,
            mark: None,
            timeout: Duration::from_secs(5),
            keepalive: Some(Keepalive::default()),
            nodelay: true,
        }
    }
}

/// When and how the kernel probes whether a silent peer lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Idle time before the first probe. Default 60 s.
    pub time: Duration,
    /// Time between probes. Default: the system's.
    pub interval: Option<Duration>,
    /// Probes without an answer after which the connection is dead. Default: the system's.
    pub retries: Option<u32>,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            interval: None,
            retries: None,
        }
    }
}

impl Keepalive {
    pub(crate) fn probes(self) -> TcpKeepalive {
        let probes = TcpKeepalive::new().with_time(self.time);
        let probes = match self.interval {
            Some(interval) => probes.with_interval(interval),
            None => probes,
        };
        match self.retries {
            Some(retries) => probes.with_retries(retries),
            None => probes,
        }
    }
}

/// Why an address could not be dialled.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host answered that nobody listens there.
    #[error("connect to {address}: refused")]
    Refused {
        /// What was dialled.
        address: SocketAddr,
    },
    /// No route to the host or network, or the host is down.
    #[error("connect to {address}: unreachable")]
    Unreachable {
        /// What was dialled.
        address: SocketAddr,
        /// The kernel's error.
        source: io::Error,
    },
    /// No answer in time.
    #[error("connect to {address}: no answer within {timeout:?}")]
    TimedOut {
        /// What was dialled.
        address: SocketAddr,
        /// How long was waited; the kernel may give up earlier.
        timeout: Duration,
    },
    /// The wanted source address is not on this host, of another family, or out of ports.
    #[error("connect to {address}: cannot dial from the wanted source address")]
    SourceAddress {
        /// What was dialled.
        address: SocketAddr,
        /// The kernel's error.
        source: io::Error,
    },
    /// The kernel or its firewall does not allow it.
    #[error("connect to {address}: not permitted")]
    Permission {
        /// What was dialled.
        address: SocketAddr,
        /// The kernel's error.
        source: io::Error,
    },
    /// Anything else, such as no more file descriptors.
    #[error("connect to {address}: failed")]
    Other {
        /// What was dialled.
        address: SocketAddr,
        /// The kernel's error.
        source: io::Error,
    },
}

impl ConnectError {
    /// A stable name for logs and metrics.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "connect_refused",
            Self::Unreachable { .. } => "connect_unreachable",
            Self::TimedOut { .. } => "connect_timed_out",
            Self::SourceAddress { .. } => "connect_source_address",
            Self::Permission { .. } => "connect_not_permitted",
            Self::Other { .. } => "connect_failed",
        }
    }

    fn classify(address: SocketAddr, options: &ConnectOptions, source: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match source.kind() {
            Kind::ConnectionRefused => Self::Refused { address },
            Kind::TimedOut => Self::TimedOut {
                address,
                timeout: options.timeout,
            },
            Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => {
                Self::Unreachable { address, source }
            }
            Kind::PermissionDenied => Self::Permission { address, source },
            Kind::AddrNotAvailable | Kind::AddrInUse if options.source.is_some() => {
                Self::SourceAddress { address, source }
            }
            _ => Self::Other { address, source },
        }
    }
}

/// Dials a TCP address.
///
/// # Errors
/// [`ConnectError`] says which side is to blame; nothing was sent to an application in any case.
pub async fn connect(address: SocketAddr, options: &ConnectOptions) -> Result<TcpStream, ConnectError> {
    let socket = prepare(address, options)?;
    match tokio::time::timeout(options.timeout, socket.connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(ConnectError::classify(address, options, error)),
        Err(_) => Err(ConnectError::TimedOut {
            address,
            timeout: options.timeout,
        }),
    }
}

fn prepare(address: SocketAddr, options: &ConnectOptions) -> Result<TcpSocket, ConnectError> {
    let classify = |error| ConnectError::classify(address, options, error);
    let socket = open(address, options).map_err(classify)?;
    if let Some(source) = options.source {
        socket
            .bind(&SocketAddr::new(source, 0).into())
            .map_err(|source| match source.kind() {
                io::ErrorKind::PermissionDenied => ConnectError::Permission { address, source },
                _ => ConnectError::SourceAddress { address, source },
            })?;
    }
    Ok(TcpSocket::from_std_stream(socket.into()))
}

fn open(address: SocketAddr, options: &ConnectOptions) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    if let Some(mark) = options.mark {
        socket.set_mark(mark)?;
    }
    if let Some(keepalive) = options.keepalive {
        socket.set_tcp_keepalive(&keepalive.probes())?;
    }
    socket.set_tcp_nodelay(options.nodelay)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use socket2::SockRef;
    use std::net::Ipv4Addr;
    use tokio::net::TcpListener;

    fn from(source: [u8; 4]) -> ConnectOptions {
        ConnectOptions {
            source: Some(Ipv4Addr::from(source).into()),
            ..ConnectOptions::default()
        }
    }

    #[tokio::test]
    async fn a_connection_comes_from_the_wanted_source_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = from([127, 0, 0, 6]);
        let (dialled, accepted) = tokio::join!(connect(address, &options), listener.accept());
        let (_, peer) = accepted.unwrap();
        assert_eq!(peer.ip(), Ipv4Addr::new(127, 0, 0, 6));
        assert!(dialled.unwrap().nodelay().unwrap());
    }

    #[tokio::test]
    async fn probes_are_as_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = ConnectOptions {
            keepalive: Some(Keepalive {
                time: Duration::from_secs(7),
                interval: Some(Duration::from_secs(3)),
                retries: Some(2),
            }),
            ..ConnectOptions::default()
        };
        let stream = connect(listener.local_addr().unwrap(), &options).await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(7));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(3));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 2);
    }

    #[tokio::test]
    async fn a_port_nobody_listens_on_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = connect(address, &ConnectOptions::default()).await.unwrap_err();
        assert_eq!(error.id(), "connect_refused");
    }

    #[tokio::test]
    async fn a_source_address_of_another_host_or_family_is_blamed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let error = connect(address, &from([192, 0, 2, 77])).await.unwrap_err();
        assert_eq!(error.id(), "connect_source_address");
        let other_family = ConnectOptions {
            source: Some(std::net::Ipv6Addr::LOCALHOST.into()),
            ..ConnectOptions::default()
        };
        let error = connect(address, &other_family).await.unwrap_err();
        assert_eq!(error.id(), "connect_source_address");
    }

    #[tokio::test]
    async fn a_full_queue_times_out() {
        // A listener whose queue is full drops further SYNs: nobody answers.
        let options = crate::ListenOptions {
            backlog: 0,
            ..crate::ListenOptions::default()
        };
        let listener = crate::listen(SocketAddr::from(([127, 0, 0, 1], 0)), &options).unwrap();
        let address = listener.local_addr().unwrap();
        let patience = ConnectOptions {
            timeout: Duration::from_millis(300),
            ..ConnectOptions::default()
        };
        let mut queued = Vec::new();
        let error = loop {
            assert!(queued.len() < 16, "the queue never filled");
            match connect(address, &patience).await {
                Ok(stream) => queued.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(error.id(), "connect_timed_out");
    }
}
