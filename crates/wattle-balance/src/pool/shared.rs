//! Connections that carry many requests at once.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use super::waiting::{Line, Place, Wake};

/// The bounds of a [`Shared`] pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedLimits {
    /// Connections to the endpoint; default 4. At the limit, with every stream taken, requests wait for one.
    pub max_connections: usize,
    /// Requests that wait for a connect or a stream; default 1,024 (Envoy's `max_pending_requests`). At the limit further ones are refused.
    pub max_waiting: usize,
}

impl Default for SharedLimits {
    fn default() -> Self {
        Self {
            max_connections: 4,
            max_waiting: 1_024,
        }
    }
}

/// What a live connection can still take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// So many more requests at once.
    Available(usize),
    /// No new request ever again; requests under way go on.
    Closing,
}

/// What a request gets that asks for a connection.
#[derive(Debug)]
pub enum Acquired<C> {
    /// A live connection with a stream to spare.
    Use(C),
    /// The task to open a connection; nobody else opens one until the ticket is used or dropped.
    Connect(ConnectTicket<C>),
    /// A place in line; once through, ask again.
    Wait(Waiter<C>),
    /// The line is full.
    Refused,
}

/// The connect that was waited for failed; others in line hear the same at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection that this request waited for was not opened")]
pub struct ConnectFailed;

#[derive(Debug)]
struct State<C> {
    live: Vec<C>,
    connecting: bool,
    line: Line,
    limits: SharedLimits,
}

/// Multiplexed connections to one endpoint; clones share them.
#[derive(Debug)]
pub struct Shared<C> {
    state: Rc<RefCell<State<C>>>,
}

impl<C> Clone for Shared<C> {
    fn clone(&self) -> Self {
        Self {
            state: Rc::clone(&self.state),
        }
    }
}

impl<C> Shared<C> {
    /// An empty pool.
    #[must_use]
    pub fn new(limits: SharedLimits) -> Self {
        Self {
            state: Rc::new(RefCell::new(State {
                live: Vec::new(),
                connecting: false,
                line: Line::default(),
                limits,
            })),
        }
    }

    /// Finds a connection for one request: the first with a stream to spare, else a new one, else a place in line.
    ///
    /// `streams` is asked about connections in the order in which they were opened; it must not use this pool. Those that are closing
    /// are forgotten here and live on in the requests that use them.
    pub fn acquire(&self, streams: impl Fn(&C) -> Streams) -> Acquired<C>
    where
        C: Clone,
    {
        let mut state = self.state.borrow_mut();
        state
            .live
            .retain(|connection| streams(connection) != Streams::Closing);
        let spare = |connection: &&C| matches!(streams(connection), Streams::Available(n) if n > 0);
        if let Some(connection) = state.live.iter().find(spare) {
            return Acquired::Use(connection.clone());
        }
        if !state.connecting && state.live.len() < state.limits.max_connections {
            state.connecting = true;
            drop(state);
            return Acquired::Connect(ConnectTicket {
                pool: self.clone(),
                used: false,
            });
        }
        let limit = state.limits.max_waiting;
        match state.line.join(limit) {
            Some(place) => Acquired::Wait(Waiter {
                pool: self.clone(),
                place,
                done: false,
            }),
            None => Acquired::Refused,
        }
    }

    /// Changes how many connections there may be, at least 1; those that are open stay.
    pub fn set_max_connections(&self, max: usize) {
        self.state.borrow_mut().limits.max_connections = max.max(1);
    }

    /// A handle that does not keep the pool.
    #[must_use]
    pub fn downgrade(&self) -> WeakShared<C> {
        WeakShared(Rc::downgrade(&self.state))
    }

    /// Tells that a stream has ended or a connection has begun to close, so that the first in line may ask again; cheap when nobody waits.
    ///
    /// Whoever uses a connection must call this, or those in line wait until another connection opens.
    pub fn stream_ended(&self) {
        self.state.borrow_mut().line.wake_one();
    }

    /// Takes out the connections for which `leaving` holds, to be closed by the caller.
    pub fn take(&self, mut leaving: impl FnMut(&C) -> bool) -> Vec<C> {
        let mut state = self.state.borrow_mut();
        let (taken, kept) = std::mem::take(&mut state.live)
            .into_iter()
            .partition(|connection| leaving(connection));
        state.live = kept;
        // A full pool may have room now.
        state.line.wake_one();
        taken
    }

    /// Connections that are open as far as is known.
    #[must_use]
    pub fn live(&self) -> usize {
        self.state.borrow().live.len()
    }

    /// Requests that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state.borrow().line.len()
    }
}

/// A handle to a pool that does not keep it, for what the pool's own connections hold.
#[derive(Debug)]
pub struct WeakShared<C>(Weak<RefCell<State<C>>>);

impl<C> WeakShared<C> {
    /// Tells that a stream is free, see [`Shared::stream_ended`]; nothing when the pool is gone.
    pub fn stream_ended(&self) {
        if let Some(state) = self.0.upgrade() {
            state.borrow_mut().line.wake_one();
        }
    }
}

/// The task of opening one connection; dropped unused, the next in line gets it.
#[derive(Debug)]
pub struct ConnectTicket<C> {
    pool: Shared<C>,
    used: bool,
}

impl<C> ConnectTicket<C> {
    /// Adds the connection and lets everyone who waits ask again.
    pub fn connected(self, connection: C) {
        self.pool.state.borrow_mut().live.push(connection);
        self.finish(Wake::Again);
    }

    /// Tells everyone who waits that there will be no connection.
    pub fn failed(self) {
        self.finish(Wake::ConnectFailed);
    }

    fn finish(mut self, wake: Wake) {
        self.used = true;
        let mut state = self.pool.state.borrow_mut();
        state.connecting = false;
        state.line.wake_all(wake);
    }
}

impl<C> Drop for ConnectTicket<C> {
    fn drop(&mut self) {
        if !self.used {
            let mut state = self.pool.state.borrow_mut();
            state.connecting = false;
            state.line.wake_one();
        }
    }
}

/// A place in line, as a future that ends when it is worth asking again.
#[derive(Debug)]
pub struct Waiter<C> {
    pool: Shared<C>,
    place: Rc<Place>,
    done: bool,
}

impl<C> Future for Waiter<C> {
    type Output = Result<(), ConnectFailed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.place.poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(wake) => {
                self.done = true;
                Poll::Ready(match wake {
                    Wake::Again => Ok(()),
                    Wake::ConnectFailed => Err(ConnectFailed),
                })
            }
        }
    }
}

impl<C> Drop for Waiter<C> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut state = self.pool.state.borrow_mut();
        match self.place.wake() {
            // Woken but gone before it could look: the turn passes to the next.
            Some(_) => state.line.wake_one(),
            None => state.line.leave(&self.place),
        }
    }
}
