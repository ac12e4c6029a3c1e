//! Calling: one HTTP/2 connection to the service, made anew when it goes.

use super::frame::{Messages, framed};
use super::{GRPC_MESSAGE, GRPC_STATUS, opening};
use crate::upstream::{CallError, Failure, Upstream, excerpt};
use http::header::{HeaderMap, HeaderValue, TE};
use http::{Method, StatusCode};
use prost::Message;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use wattle_http::{Body, Limits, Request, RequestHead, Response, h2};

/// Most messages taken from a stream of answers.
const MAX_ANSWERS: usize = 1000;

/// The answers of a call, and the headers they came with.
#[derive(Debug)]
pub(crate) struct Answers<M> {
    pub(crate) headers: HeaderMap,
    pub(crate) messages: Vec<M>,
}

/// Calls one service.
#[derive(Debug)]
pub(crate) struct Channel {
    upstream: Upstream,
    timeout: Duration,
    limits: Rc<Limits>,
    client: RefCell<Option<h2::Client>>,
}

impl Channel {
    pub(crate) fn new(upstream: Upstream, timeout: Duration) -> Self {
        Self {
            upstream,
            timeout,
            limits: Rc::default(),
            client: RefCell::default(),
        }
    }

    /// Calls a method and waits for all its answers.
    pub(crate) async fn call<M: Message + Default>(
        &self,
        path: &'static str,
        ask: impl Message,
        passed_on: &HeaderMap,
    ) -> Result<Answers<M>, CallError> {
        let exchange = self.exchange(self.request(path, &ask, passed_on));
        let answers = tokio::time::timeout(self.timeout, exchange).await;
        let answers = answers.unwrap_or(Err(Failure::Timeout(self.timeout)));
        answers.map_err(|failure| self.upstream.failed(failure))
    }

    fn request(&self, path: &'static str, ask: &impl Message, passed_on: &HeaderMap) -> Request {
        let mut head = RequestHead::new(Method::POST, self.upstream.authority.as_str(), path);
        head.headers = opening();
        head.headers.extend(passed_on.clone());
        head.headers.insert(TE, HeaderValue::from_static("trailers"));
        Request::new(head, Body::full(framed(ask)))
    }

    async fn exchange<M: Message + Default>(&self, request: Request) -> Result<Answers<M>, Failure> {
        let Response { head, body } = self.send(request).await?;
        if head.status != StatusCode::OK {
            return Err(Failure::Status {
                status: head.status.as_u16(),
                text: String::new(),
            });
        }
        let mut messages = Messages::of(body);
        let mut all = Vec::new();
        while let Some(message) = messages
            .next()
            .await
            .map_err(|error| Failure::Unreadable(error.to_string()))?
        {
            if all.len() == MAX_ANSWERS {
                return Err(Failure::Unreadable(format!("more than {MAX_ANSWERS} messages")));
            }
            all.push(message);
        }
        success(messages.trailers.as_ref().unwrap_or(&head.headers))?;
        Ok(Answers {
            headers: head.headers,
            messages: all,
        })
    }

    async fn send(&self, request: Request) -> Result<Response, Failure> {
        // Cloned in a statement of its own: nothing stays borrowed while the call waits.
        let kept = self.client.borrow().clone().filter(h2::Client::is_ready);
        let request = match kept {
            None => request,
            Some(kept) => match kept.send(request).await {
                Ok(response) => return Ok(response),
                Err(error) => *error.request.ok_or(Failure::Send(error.kind))?,
            },
        };
        let client = self.connect().await?;
        client
            .send(request)
            .await
            .map_err(|error| Failure::Send(error.kind))
    }

    async fn connect(&self) -> Result<h2::Client, Failure> {
        let stream = self.upstream.connect().await.map_err(|error| error.failure)?;
        let connected = h2::connect(stream, &self.limits).await;
        let (client, driver) = connected.map_err(|error| Failure::Unreadable(error.to_string()))?;
        // Ends with the connection, which ends when the last handle and call are gone.
        tokio::task::spawn_local(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "connection ended in disorder");
            }
        });
        *self.client.borrow_mut() = Some(client.clone());
        Ok(client)
    }
}

fn success(fields: &HeaderMap) -> Result<(), Failure> {
    let text = |name| {
        fields
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let code = text(GRPC_STATUS).and_then(|code| code.parse().ok());
    match code {
        Some(0) => Ok(()),
        Some(code) => Err(Failure::Grpc {
            code,
            message: excerpt(&text(GRPC_MESSAGE).unwrap_or_default(), 160),
        }),
        None => Err(Failure::Unreadable("no grpc-status".to_owned())),
    }
}
