//! What the main thread and the workers tell each other.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use wattle_model::{BackendId, Destination, Endpoints, Inbound, Workload};

use super::Materials;
use crate::identity::Credentials;
use crate::worker::{RateLimits, TokenRules};

/// What a destination is asked for by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Dialled {
    /// An address that the workload dialled.
    Address(SocketAddr),
    /// `host:port` of a service that the proxy itself calls.
    Name(Arc<str>),
}

impl Dialled {
    /// `ip:port` is an address, anything else a name.
    pub(crate) fn read(text: &Arc<str>) -> Self {
        text.parse()
            .map_or_else(|_| Self::Name(text.clone()), Self::Address)
    }
}

impl fmt::Display for Dialled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// From the main thread to a worker.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// A new certificate or bundle.
    Credentials(Arc<Credentials>),
    /// The workload's own inbound side.
    Inbound(Arc<Inbound>),
    /// The limits of the workload's inbound side, told before it.
    RateLimits(Option<Arc<RateLimits>>),
    /// Whose tokens the workload takes, told before its inbound side.
    Tokens(Option<Arc<TokenRules>>),
    /// What is behind an address or name, its endpoints having been told before; `None` when the control plane knows of no
    /// way there.
    Destination(Dialled, Option<Arc<Destination>>),
    /// Endpoints of a backend.
    Endpoints(BackendId, Arc<Endpoints>),
    /// What the files of TLS policies hold, all of them.
    Outside(Arc<Materials>),
    /// Who an address belongs to.
    Peer(IpAddr, Option<Arc<Workload>>),
    /// Finish what is open, at the latest after this time, then end.
    Drain(Duration),
}

/// From a worker to the main thread.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    /// Somebody dialled this address.
    Destination(SocketAddr),
    /// Nobody dialled it for long.
    Forget(SocketAddr),
    /// Who is this?
    Peer(IpAddr),
}

/// Most asks of one worker that wait; beyond them a destination is refused for now.
pub(crate) const MAX_ASKS: usize = 4096;

/// The worker's end for asking.
#[derive(Clone)]
pub(crate) struct Post {
    worker: usize,
    sender: mpsc::Sender<(usize, Ask)>,
}

impl Post {
    pub(crate) fn new(worker: usize, sender: mpsc::Sender<(usize, Ask)>) -> Self {
        Self { worker, sender }
    }

    /// Sends the question; false when too many wait already.
    pub(crate) fn ask(&self, ask: Ask) -> bool {
        self.sender.try_send((self.worker, ask)).is_ok()
    }
}

/// The main thread's ends for telling. The queues have no bound of their own: what is told is bounded by what this proxy
/// subscribes to, and a worker takes it in without waiting for anything; one that does not is dead.
#[derive(Clone)]
pub(crate) struct Feed {
    senders: Arc<[mpsc::UnboundedSender<News>]>,
}

impl Feed {
    pub(crate) fn new(senders: Vec<mpsc::UnboundedSender<News>>) -> Self {
        Self {
            senders: senders.into(),
        }
    }

    /// Number of workers.
    pub(crate) fn workers(&self) -> usize {
        self.senders.len()
    }

    /// Tells one worker.
    pub(crate) fn tell(&self, worker: usize, news: News) {
        if let Some(sender) = self.senders.get(worker) {
            // A worker that ended needs no news.
            let _ = sender.send(news);
        }
    }

    /// Tells every worker.
    pub(crate) fn tell_all(&self, news: &News) {
        for worker in 0..self.workers() {
            self.tell(worker, news.clone());
        }
    }
}
