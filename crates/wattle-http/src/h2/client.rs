//! The client role: one connection that many requests share.

use super::batch::Batch;
use super::body::Pump;
use super::convert;
use super::driver::{DriveError, Driver, drive_error};
use super::pending::Pending;
use super::ping::KeepAlive;
use crate::{Answered, Io, Limits, Request, Response, SendError, SendErrorKind};
use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Streams assumed to be allowed until the peer's SETTINGS say; odd, so that their arrival shows.
const STREAMS_BEFORE_SETTINGS: usize = 99;

/// Streams we reset whose late frames are told from errors for a second.
pub(super) const REMEMBERED_RESETS: usize = 1024;

/// A handle to an HTTP/2 client connection; clones share it. The connection ends when the last is dropped and its
/// streams are done.
#[derive(Clone)]
pub struct Client(Rc<Shared>);

pub(super) struct Shared {
    send: RefCell<SendRequest<Bytes>>,
    requests: Cell<u64>,
    active: Cell<usize>,
    /// The driver has ended.
    ended: Cell<bool>,
    /// Requests that need to know the peer's SETTINGS; bounded by the requests in work.
    waiting: RefCell<Vec<Waker>>,
    /// Hears of each stream that ended, and of a raised limit.
    freed: RefCell<Option<Rc<dyn Fn()>>>,
}

/// Starts HTTP/2 on a stream. Waits for nothing from the peer; nothing is sent before the driver runs.
pub async fn connect(io: impl Io + 'static, limits: &Limits) -> Result<(Client, Driver), DriveError> {
    let batch = Batch::new(Box::new(io), Bytes::new(), None);
    let handshake = h2::client::Builder::new()
        .initial_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_frame_size(limits.max_frame_bytes)
        .max_header_list_size(limits.max_head_bytes as u32)
        .initial_max_send_streams(STREAMS_BEFORE_SETTINGS)
        .data_frame_budget(limits.small_frames_bytes)
        .max_concurrent_reset_streams(REMEMBERED_RESETS)
        // Counted over the connection's life, and each cancelled request may add one: a shared hop would die of old age.
        .max_local_error_reset_streams(None)
        .enable_push(false)
        .handshake(batch.clone());
    let (send, mut conn) = handshake.await.map_err(drive_error)?;
    let keep_alive = KeepAlive::new(limits, conn.ping_pong());
    let shared = Rc::new(Shared {
        send: RefCell::new(send),
        requests: Cell::new(0),
        active: Cell::new(0),
        ended: Cell::new(false),
        waiting: RefCell::default(),
        freed: RefCell::default(),
    });
    let driver = Driver {
        conn,
        batch,
        keep_alive,
        shared: Rc::downgrade(&shared),
    };
    Ok((Client(shared), driver))
}

impl Shared {
    /// The driver has read on: whoever waits for the peer's SETTINGS goes on once they are there.
    pub(super) fn heard_settings(&self) {
        if !self.waiting.borrow().is_empty() && self.has_settings() {
            self.waiting.take().into_iter().for_each(Waker::wake);
            self.tell_freed();
        }
    }

    /// The driver has ended.
    pub(super) fn end(&self) {
        self.ended.set(true);
        self.waiting.take().into_iter().for_each(Waker::wake);
        self.tell_freed();
    }

    fn has_settings(&self) -> bool {
        self.send.borrow().current_max_send_streams() != STREAMS_BEFORE_SETTINGS
    }

    async fn settings(&self) {
        poll_fn(|cx| {
            if self.has_settings() || self.ended.get() {
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    fn tell_freed(&self) {
        let freed = self.freed.borrow().clone();
        if let Some(freed) = freed {
            freed();
        }
    }

    fn takes_another(&self) -> bool {
        let ready = self
            .send
            .borrow_mut()
            .poll_ready(&mut Context::from_waker(Waker::noop()));
        !self.ended.get() && matches!(ready, Poll::Ready(Ok(())))
    }
}

impl Client {
    /// Whether the connection takes no more requests: the peer sent GOAWAY, or it ended.
    pub fn is_closing(&self) -> bool {
        let ready = self
            .0
            .send
            .borrow_mut()
            .poll_ready(&mut Context::from_waker(Waker::noop()));
        self.0.ended.get() || matches!(ready, Poll::Ready(Err(_)))
    }

    /// Whether a request can be sent at once.
    pub fn is_ready(&self) -> bool {
        !self.is_closing() && self.available_streams() > 0
    }

    /// Streams that can be opened now; 99 in all are assumed until the peer says.
    pub fn available_streams(&self) -> usize {
        self.0
            .send
            .borrow()
            .current_max_send_streams()
            .saturating_sub(self.0.active.get())
    }

    /// Streams in work.
    pub fn active_streams(&self) -> usize {
        self.0.active.get()
    }

    /// Requests sent on this connection so far.
    pub fn requests(&self) -> u64 {
        self.0.requests.get()
    }

    /// Calls `freed` whenever a request may find a stream that was not free before, or the connection has ended.
    pub fn on_freed(&self, freed: Rc<dyn Fn()>) {
        *self.0.freed.borrow_mut() = Some(freed);
    }

    /// Whether this is a handle to the same connection.
    pub fn is_same(&self, other: &Client) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Sends a request and waits for the final response's head. The response's body goes on sending the request's.
    ///
    /// Fails with the request given back when the peer cannot have acted on it (refused stream, GOAWAY, no free stream),
    /// or when the connection ended before a response, the method is idempotent and the body is still there.
    /// Dropping the future resets the stream.
    pub async fn send(&self, request: Request) -> Result<Response, SendError> {
        let answered = self.send_kept(Box::new(request)).await;
        answered.map(|answered| answered.response)
    }

    /// The same, with the request beside the response where its body is still there: for a response that says that
    /// nothing was done.
    pub async fn send_kept(&self, mut request: Box<Request>) -> Result<Answered, SendError> {
        let reused = self.0.requests.get() > 0;
        let (response, send) = match self.open(&request).await {
            Ok(opened) => opened,
            Err(kind) => {
                return Err(SendError {
                    kind,
                    request: Some(request),
                    reused,
                });
            }
        };
        let copy = request.body.try_clone();
        let body = std::mem::take(&mut request.body);
        let upload = (!body.is_end()).then(|| Box::new(Pump::new(send, body)));
        let active = Active::new(&self.0);
        let mut pending = Pending {
            response,
            upload,
            upload_failed: false,
            active,
        };
        match poll_fn(|cx| pending.poll(cx, &request.informational)).await {
            Ok(response) => {
                let response = pending.finish(response, &request.head);
                let request = copy.map(|body| request.with(body));
                Ok(Answered { response, request })
            }
            Err(kind) => {
                let body = pending.repeatable(&kind, &request.head, copy);
                Err(SendError {
                    kind,
                    request: body.map(|body| request.with(body)),
                    reused,
                })
            }
        }
    }

    /// Opens a stream with the request's head; nothing of it was sent when this fails.
    async fn open(&self, request: &Request) -> Result<(ResponseFuture, SendStream<Bytes>), SendErrorKind> {
        let upgrade = request.head.asks_for_upgrade();
        if upgrade {
            self.0.settings().await;
        }
        if upgrade && !self.0.send.borrow().is_extended_connect_protocol_enabled() {
            return Err(SendErrorKind::Unrepresentable);
        }
        let wire =
            convert::request_out(&request.head, &request.body).ok_or(SendErrorKind::Unrepresentable)?;
        if !self.0.takes_another() || self.available_streams() == 0 {
            return Err(SendErrorKind::NotSent);
        }
        let opened = self.0.send.borrow_mut().send_request(wire, request.body.is_end());
        let opened = opened.map_err(|_| SendErrorKind::NotSent)?;
        self.0.requests.set(self.0.requests.get() + 1);
        Ok(opened)
    }
}

/// Counts a stream in work.
pub(super) struct Active(Rc<Shared>);

impl Active {
    fn new(shared: &Rc<Shared>) -> Self {
        shared.active.set(shared.active.get() + 1);
        Self(shared.clone())
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get().saturating_sub(1));
        self.0.tell_freed();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("requests", &self.requests())
            .finish_non_exhaustive()
    }
}
