//! The proxy: answers from the table, forwards the rest.
//!
//! Runs on the runtime it is started in. Answers from the table are given in the listeners' own tasks; a forwarded
//! query has a task of its own while a resolver is waited for.

mod refusals;
mod tcp;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hickory_proto::op::ResponseCode;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Semaphore, mpsc, watch};
use wattle_net::ListenOptions;

use crate::answer::{self, Chase, Transport};
use crate::counters::{Counters, Event};
use crate::names::Names;
use crate::upstream::Upstream;
use refusals::Refusals;

/// How much is open at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Forwarded queries over UDP that wait for a resolver; one more is answered SERVFAIL. Default 1024.
    pub udp_queries: usize,
    /// TCP connections; one more is closed at once. Default 128.
    pub tcp_connections: usize,
    /// How long a TCP connection may wait for its next query, or for its client to take an answer. Default 10 s
    /// (RFC 7766, 6.2.3: seconds).
    pub tcp_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            udp_queries: 1024,
            tcp_connections: 128,
            tcp_idle: Duration::from_secs(10),
        }
    }
}

/// What a server is made of.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Where it hears queries, over UDP and TCP each; by default both loopbacks at [`crate::PORT`].
    pub listen: Vec<SocketAddr>,
    /// Bounds.
    pub limits: Limits,
}

impl Default for ServerOptions {
    fn default() -> Self {
        use std::net::{Ipv4Addr, Ipv6Addr};
        Self {
            listen: vec![
                (Ipv4Addr::LOCALHOST, crate::PORT).into(),
                (Ipv6Addr::LOCALHOST, crate::PORT).into(),
            ],
            limits: Limits::default(),
        }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A listener could not be had.
    #[error("listen for DNS on {address} over {transport:?}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Over what.
        transport: Transport,
        /// What the kernel said.
        source: io::Error,
    },
    /// A resolver is the server itself, so that queries would go round for ever.
    #[error("forward DNS to {resolver}: that is where the proxy listens")]
    Loop {
        /// The resolver.
        resolver: SocketAddr,
    },
}

/// A running server. When it is dropped, the listeners close at once and what is under way is finished.
#[derive(Debug)]
pub struct Server {
    udp: Vec<SocketAddr>,
    tcp: Vec<SocketAddr>,
    shared: Arc<Shared>,
    stop: watch::Sender<()>,
    work: mpsc::Receiver<()>,
}

/// What all tasks of a server have in common.
#[derive(Debug)]
struct Shared {
    names: Arc<ArcSwap<Names>>,
    upstream: Arc<Upstream>,
    limits: Limits,
    udp_queries: Arc<Semaphore>,
    tcp_connections: Arc<Semaphore>,
    refusals: Refusals,
}

/// Carried by every task: tells it to stop, and tells the server that it is still there.
#[derive(Debug, Clone)]
struct Running {
    stop: watch::Receiver<()>,
    _work: mpsc::Sender<()>,
}

impl Running {
    /// Ready when the server has been dropped or drained.
    async fn stopped(&mut self) {
        // Nothing is ever sent: an error means that the server is gone.
        let _ = self.stop.changed().await;
    }
}

impl Server {
    /// Listens and serves; must be called within a tokio runtime. Names are read anew for every query, so storing
    /// another table puts it in force at once.
    ///
    /// # Errors
    /// When an address cannot be listened on or a resolver is the server itself.
    pub fn start(
        options: &ServerOptions,
        names: Arc<ArcSwap<Names>>,
        upstream: Arc<Upstream>,
    ) -> Result<Self, ServerError> {
        if let Some(resolver) = upstream
            .resolvers()
            .iter()
            .find(|resolver| options.listen.contains(resolver))
        {
            return Err(ServerError::Loop { resolver: *resolver });
        }
        let (udp, tcp) = listeners(&options.listen)?;
        let shared = Arc::new(Shared {
            names,
            upstream,
            limits: options.limits,
            udp_queries: Arc::new(Semaphore::new(options.limits.udp_queries)),
            tcp_connections: Arc::new(Semaphore::new(options.limits.tcp_connections)),
            refusals: Refusals::default(),
        });
        let (stop, stopped) = watch::channel(());
        let (work_sender, work) = mpsc::channel(1);
        let running = Running {
            stop: stopped,
            _work: work_sender,
        };
        let mut server = Self {
            udp: Vec::new(),
            tcp: Vec::new(),
            shared,
            stop,
            work,
        };
        for (address, socket) in udp {
            server.udp.push(address);
            tokio::spawn(udp::serve(
                Arc::new(socket),
                server.shared.clone(),
                running.clone(),
            ));
        }
        for (address, listener) in tcp {
            server.tcp.push(address);
            tokio::spawn(tcp::serve(listener, server.shared.clone(), running.clone()));
        }
        Ok(server)
    }

    /// Where it hears UDP, in the order of the options.
    #[must_use]
    pub fn udp_addresses(&self) -> &[SocketAddr] {
        &self.udp
    }

    /// Where it hears TCP, in the order of the options.
    #[must_use]
    pub fn tcp_addresses(&self) -> &[SocketAddr] {
        &self.tcp
    }

    /// Counts for metrics.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        self.shared.upstream.counters()
    }

    /// Closes the listeners and waits until what is under way is finished: at most as long as all resolvers may take.
    pub async fn drain(self) {
        let Self { stop, mut work, .. } = self;
        drop(stop);
        // Nothing is ever sent: the channel closes with its last task.
        let _ = work.recv().await;
    }
}

type Listeners = (Vec<(SocketAddr, UdpSocket)>, Vec<(SocketAddr, TcpListener)>);

fn listeners(addresses: &[SocketAddr]) -> Result<Listeners, ServerError> {
    let (mut udp, mut tcp) = (Vec::new(), Vec::new());
    for address in addresses.iter().copied() {
        let failed = |transport| {
            move |source| ServerError::Listen {
                address,
                transport,
                source,
            }
        };
        udp.push(udp::listen(address).map_err(failed(Transport::Udp))?);
        tcp.push(listen_tcp(address).map_err(failed(Transport::Tcp))?);
    }
    Ok((udp, tcp))
}

fn listen_tcp(address: SocketAddr) -> io::Result<(SocketAddr, TcpListener)> {
    let options = ListenOptions {
        reuse_port: false,
        v6_only: true,
        ..ListenOptions::default()
    };
    let listener = wattle_net::listen(address, &options)?;
    Ok((listener.local_addr()?, listener))
}

impl Shared {
    fn count(&self, event: Event) {
        self.upstream.counters().count(event);
    }

    /// The verdict on one message, counted; a forward without anybody to forward to is answered.
    fn judge(&self, query: &[u8], transport: Transport) -> answer::Verdict {
        self.count(Event::Request);
        let names = self.names.load();
        let mut verdict = answer::answer(query, transport, &names, rand::random());
        if self.upstream.resolvers().is_empty() {
            verdict = match verdict {
                answer::Verdict::Forward => answer::Verdict::Reply(answer::unknown(query, &names)),
                answer::Verdict::Chase(chase) => answer::Verdict::Reply(chase.alone()),
                other => other,
            };
        }
        self.count(match verdict {
            answer::Verdict::Reply(_) => Event::Answered,
            answer::Verdict::Forward | answer::Verdict::Chase(_) => Event::Forwarded,
            answer::Verdict::Refuse(_) => Event::Refused,
            answer::Verdict::Drop => Event::Dropped,
        });
        if let (answer::Verdict::Refuse(_), Some(outside)) = (&verdict, names.outside()) {
            self.refusals.tell(query, outside);
        }
        verdict
    }

    /// What a resolver answers, or SERVFAIL.
    async fn forward(&self, query: &[u8], transport: Transport) -> Vec<u8> {
        match self.upstream.exchange(query, transport).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, "a name was not resolved");
                self.count(Event::Failure);
                answer::error(query, ResponseCode::ServFail)
            }
        }
    }

    /// An answer whose rest a resolver gives, or SERVFAIL.
    async fn chase(&self, query: &[u8], chase: Chase, transport: Transport) -> Vec<u8> {
        match self.upstream.exchange(chase.query(), transport).await {
            Ok(answer) => chase.finish(&answer),
            Err(error) => {
                tracing::debug!(%error, "a name that another stands for was not resolved");
                self.count(Event::Failure);
                answer::error(query, ResponseCode::ServFail)
            }
        }
    }
}
