//! The resolvers behind the proxy, and one exchange with them.
//!
//! Each try over UDP has a socket of its own, connected to the resolver: the kernel chooses the port and takes answers
//! from that address alone. With a random number and the repeated question, that is what RFC 5452 asks for.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};
use wattle_net::{ConnectOptions, connect};

use crate::answer::Transport;
use crate::counters::Counters;
use crate::question::{Head, set_id};
use crate::resolv_conf::MAX_RESOLVERS;

/// Longest message (RFC 1035, 4.2.2).
pub(crate) const MAX_MESSAGE: usize = 65_535;

/// Outcomes that speak of the resolver, not of the name: another one may know (server failure, not implemented,
/// refused).
const TRY_ANOTHER: [u8; 3] = [2, 4, 5];

/// How the proxy's own sockets leave the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outward {
    /// Mark on every packet (SO_MARK, needs CAP_NET_ADMIN), by which redirection lets it pass. Default none.
    pub mark: Option<u32>,
}

/// Why nobody answered.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// What was to be sent is no DNS message.
    #[error("ask a resolver: not a DNS message")]
    NotAQuery,
    /// There is nobody to ask.
    #[error("ask a resolver: there is none")]
    NoResolver,
    /// A resolver was silent.
    #[error("ask resolver {resolver}: no answer within {timeout:?}")]
    Silent {
        /// Who was asked last.
        resolver: SocketAddr,
        /// How long was waited.
        timeout: Duration,
    },
    /// A resolver could not be reached, or ended the exchange.
    #[error("ask resolver {resolver}: failed")]
    Failed {
        /// Who was asked last.
        resolver: SocketAddr,
        /// What happened.
        source: io::Error,
    },
}

/// The resolvers to ask. The one that answered last is asked first; a silent one is passed over from then on.
#[derive(Debug)]
pub struct Upstream {
    resolvers: Vec<SocketAddr>,
    outward: Outward,
    timeout: Duration,
    preferred: AtomicUsize,
    counters: Arc<Counters>,
}

impl Upstream {
    /// Longest wait for one resolver (Istio: 5 s).
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

    /// Resolvers in the order of preference, at most [`MAX_RESOLVERS`]; the rest is left out.
    #[must_use]
    pub fn new(resolvers: &[SocketAddr], outward: Outward, timeout: Duration) -> Self {
        Self {
            resolvers: resolvers.iter().copied().take(MAX_RESOLVERS).collect(),
            outward,
            timeout,
            preferred: AtomicUsize::new(0),
            counters: Arc::default(),
        }
    }

    /// Who is asked; none in a mesh that has no outside.
    #[must_use]
    pub fn resolvers(&self) -> &[SocketAddr] {
        &self.resolvers
    }

    /// The counts of this upstream and of the server in front of it.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Passes a message to the resolvers, one after the other, until one answers. The answer has the message's number
    /// and is otherwise as it came. A resolver that says it cannot serve is heard if no other does better.
    ///
    /// # Errors
    /// When nobody answered in time; what the last one did.
    pub async fn exchange(&self, query: &[u8], transport: Transport) -> Result<Vec<u8>, UpstreamError> {
        let head = Head::read(query).ok_or(UpstreamError::NotAQuery)?;
        let start = self.preferred.load(Relaxed);
        let mut outcome = Err(UpstreamError::NoResolver);
        for step in 0..self.resolvers.len() {
            let index = (start + step) % self.resolvers.len();
            match self.ask(self.resolvers[index], query, transport).await {
                Ok((answer, rcode)) if TRY_ANOTHER.contains(&rcode) => outcome = Ok(answer),
                Ok((answer, _)) => {
                    self.preferred.store(index, Relaxed);
                    outcome = Ok(answer);
                    break;
                }
                Err(error) if outcome.is_err() => outcome = Err(error),
                Err(_) => {}
            }
        }
        let mut answer = outcome?;
        set_id(&mut answer, head.id);
        Ok(answer)
    }

    async fn ask(
        &self,
        resolver: SocketAddr,
        query: &[u8],
        transport: Transport,
    ) -> Result<(Vec<u8>, u8), UpstreamError> {
        let start = Instant::now();
        let mut message = query.to_vec();
        set_id(&mut message, rand::random());
        let exchange = async {
            match transport {
                Transport::Udp => self.over_udp(resolver, &message).await,
                Transport::Tcp => self.over_tcp(resolver, &message).await,
            }
        };
        let result = match timeout(self.timeout, exchange).await {
            Ok(result) => result.map_err(|source| UpstreamError::Failed { resolver, source }),
            Err(_) => Err(UpstreamError::Silent {
                resolver,
                timeout: self.timeout,
            }),
        };
        self.counters.tried(result.is_ok().then(|| start.elapsed()));
        result
    }

    async fn over_udp(&self, resolver: SocketAddr, message: &[u8]) -> io::Result<(Vec<u8>, u8)> {
        let socket = udp_socket(resolver, self.outward)?;
        socket.connect(resolver).await?;
        socket.send(message).await?;
        let query = Head::read(message);
        loop {
            socket.readable().await?;
            let bytes = match receive(&socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                received => received?,
            };
            // Anything else is a late answer of somebody else's port, or a forgery: the true one may still come.
            if let (Some(head), Some(query)) = (Head::read(&bytes), &query)
                && head.answers(query)
            {
                return Ok((bytes, head.rcode));
            }
        }
    }

    async fn over_tcp(&self, resolver: SocketAddr, message: &[u8]) -> io::Result<(Vec<u8>, u8)> {
        let options = ConnectOptions {
            mark: self.outward.mark,
            timeout: self.timeout,
            ..ConnectOptions::default()
        };
        let mut stream = connect(resolver, &options).await.map_err(io::Error::other)?;
        write_message(&mut stream, message).await?;
        let bytes = read_message(&mut stream).await?;
        match (Head::read(&bytes), Head::read(message)) {
            (Some(head), Some(query)) if head.answers(&query) => Ok((bytes, head.rcode)),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "an answer to another question",
            )),
        }
    }
}

fn udp_socket(resolver: SocketAddr, outward: Outward) -> io::Result<UdpSocket> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(resolver), kind, Some(Protocol::UDP))?;
    if let Some(mark) = outward.mark {
        socket.set_mark(mark)?;
    }
    let any: SocketAddr = match resolver {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    socket.bind(&any.into())?;
    UdpSocket::from_std(socket.into())
}

/// The room for the longest datagram is on the stack for as long as the call takes, not in every waiting task.
fn receive(socket: &UdpSocket) -> io::Result<Vec<u8>> {
    let mut buffer = [0; MAX_MESSAGE];
    let length = socket.try_recv(&mut buffer)?;
    Ok(buffer[..length].to_vec())
}

/// Reads one message of a stream, with its length before it (RFC 1035, 4.2.2).
pub(crate) async fn read_message(stream: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; length.into()];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// Writes one message to a stream in one piece: some peers do not wait for the rest of a length.
pub(crate) async fn write_message(
    stream: &mut (impl AsyncWriteExt + Unpin),
    message: &[u8],
) -> io::Result<()> {
    let length = u16::try_from(message.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a message of more than 65535 bytes"))?;
    let mut framed = Vec::with_capacity(message.len() + 2);
    framed.extend(length.to_be_bytes());
    framed.extend(message);
    stream.write_all(&framed).await
}
