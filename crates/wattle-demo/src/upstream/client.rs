//! An ordinary HTTP/1.1 client with kept connections, one per service that is called.

use super::{CallError, Failure, Upstream, excerpt};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;
use wattle_http::{Body, Limits, Request, RequestHead, Response, h1};

/// Connections kept while idle; further ones are closed after use.
const MAX_IDLE: usize = 64;
/// Most bytes of an answer's body.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Characters of a failed answer that are told on.
const TOLD_CHARS: usize = 160;
/// Why the mesh refused, where it was the mesh.
const REASON: &str = "wattle-reason";

/// What is asked.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Question {
    pub(crate) fn of(path: impl Into<String>, headers: &HeaderMap) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            headers: headers.clone(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn posting(mut self, body: Bytes) -> Self {
        self.method = Method::POST;
        self.body = body;
        self
    }
}

/// What came back, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The reason the mesh gave, if it was the mesh that answered.
    pub(crate) fn reason(&self) -> Option<String> {
        let value = self.headers.get(REASON)?;
        Some(excerpt(&String::from_utf8_lossy(value.as_bytes()), TOLD_CHARS))
    }

    /// Status, reason and the beginning of the text, for people.
    pub(crate) fn told(&self) -> String {
        let text = excerpt(&String::from_utf8_lossy(&self.body), TOLD_CHARS);
        match self.reason() {
            Some(reason) => format!("{reason}: {text}"),
            None => text,
        }
    }
}

/// Calls one service.
#[derive(Debug)]
pub(crate) struct Client {
    upstream: Upstream,
    timeout: Duration,
    limits: Rc<Limits>,
    idle: Rc<Idle>,
}

/// Connections that wait for the next call.
#[derive(Debug, Default)]
struct Idle(RefCell<Vec<h1::Client>>);

/// Where a connection goes after its answer. Weak: an idle connection holds this, and the pool holds the connection.
struct Return(Weak<Idle>);

impl h1::Checkin for Return {
    fn check_in(&self, client: h1::Client) {
        let Some(idle) = self.0.upgrade() else { return };
        let mut idle = idle.0.borrow_mut();
        if idle.len() < MAX_IDLE {
            idle.push(client);
        }
    }
}

impl Idle {
    fn take(&self) -> Option<h1::Client> {
        loop {
            // Popped in a statement of its own: closing a connection may come back here.
            let client = self.0.borrow_mut().pop();
            let mut client = client?;
            if client.is_open() {
                return Some(client);
            }
        }
    }
}

impl Client {
    pub(crate) fn new(upstream: Upstream, timeout: Duration) -> Self {
        Self {
            upstream,
            timeout,
            limits: Rc::default(),
            idle: Rc::default(),
        }
    }

    /// Asks, and takes any answer.
    pub(crate) async fn ask(&self, question: Question) -> Result<Answer, CallError> {
        let asking = tokio::time::timeout(self.timeout, self.exchange(question));
        asking
            .await
            .map_err(|_| self.failed(Failure::Timeout(self.timeout)))?
    }

    /// Asks, and takes only a success.
    pub(crate) async fn call(&self, question: Question) -> Result<Answer, CallError> {
        self.success(self.ask(question).await?)
    }

    /// An answer, if it is a success.
    pub(crate) fn success(&self, answer: Answer) -> Result<Answer, CallError> {
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(self.refused(&answer))
    }

    /// An answer taken as a failure.
    pub(crate) fn refused(&self, answer: &Answer) -> CallError {
        self.failed(Failure::Status {
            status: answer.status.as_u16(),
            text: answer.told(),
        })
    }

    /// An error of a call to this service.
    pub(crate) fn failed(&self, failure: Failure) -> CallError {
        self.upstream.failed(failure)
    }

    async fn exchange(&self, question: Question) -> Result<Answer, CallError> {
        let response = self.send(self.request(question)).await?;
        let body = response.body.collect(MAX_ANSWER_BYTES).await;
        let body = body.map_err(|error| self.failed(Failure::Body(error)))?;
        Ok(Answer {
            status: response.head.status,
            headers: response.head.headers,
            body,
        })
    }

    fn request(&self, question: Question) -> Request {
        let mut head = RequestHead::new(question.method, self.upstream.authority.as_str(), question.path);
        head.headers = question.headers;
        Request::new(head, Body::full(question.body))
    }

    /// On a kept connection if there is one. One that turns out to be closed costs a second try, on a new connection.
    async fn send(&self, request: Request) -> Result<Response, CallError> {
        let request = match self.idle.take() {
            None => request,
            Some(kept) => match kept.send(request).await {
                Ok(response) => return Ok(response),
                Err(error) => match error.request {
                    Some(request) => *request,
                    None => return Err(self.failed(Failure::Send(error.kind))),
                },
            },
        };
        let stream = self.upstream.connect().await?;
        let back = Rc::new(Return(Rc::downgrade(&self.idle)));
        let client = h1::Client::new(stream, self.limits.clone(), Some(back));
        client
            .send(request)
            .await
            .map_err(|error| self.failed(Failure::Send(error.kind)))
    }
}
