//! Requests to the workload: authenticate → external → authorize → limit → transform → connect → exchange → record.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use http::HeaderValue;
use wattle_http::{
    Handler, ParseError, Request, RequestHead, Response, ResponseHead, SendError, SendErrorKind,
};
use wattle_model::traffic::hash_text;
use wattle_model::{CallerFacts, Inbound, Reason, RequestFacts, TokenFacts};
use wattle_net::Stream;
use wattle_telemetry::EdgeMetrics;

use super::apps::App;
use super::{Arrived, Who, metrics};
use crate::phases::connect::{self, Wanted};
use crate::phases::limit::{self, Refused};
use crate::phases::record::Record;
use crate::phases::{authorize, exchange, external, reply, route, transform};
use crate::worker::{Worker, is_http2};

/// Times a request is sent again because a kept connection turned out to be closed.
const MAX_STALE: usize = 8;

/// Requests of one connection to the workload.
pub(super) struct Requests {
    worker: Rc<Worker>,
    app: RefCell<Rc<App>>,
    /// HTTP/1 messages travel on this HTTP/2 connection as such.
    marked: bool,
    who: Rc<Who>,
    client_cert: Option<HeaderValue>,
    /// What a limit for each identity counts this one by.
    key: u64,
    http_metrics: RefCell<Option<Rc<EdgeMetrics>>>,
    grpc_metrics: RefCell<Option<Rc<EdgeMetrics>>>,
    /// The series name the peer's workload, as far as it ever will be known.
    named: Cell<bool>,
}

/// A request that may in: where it goes, and what the response is changed by.
struct Admitted {
    app: Rc<App>,
    wanted: Wanted,
    to_client: Vec<external::Change>,
}

impl Requests {
    /// Takes the stream of a connection apart from what its requests share.
    pub(super) fn on(worker: &Rc<Worker>, arrived: Arrived, marked: bool) -> (Stream, Rc<Self>) {
        let Arrived { stream, who } = arrived;
        let own = worker.settings.id.as_str();
        let requests = Self {
            worker: worker.clone(),
            key: who.peer.as_ref().map_or(0, |peer| hash_text(peer.as_str())),
            app: RefCell::new(super::app(worker, who.local)),
            marked,
            client_cert: who
                .peer
                .as_ref()
                .and_then(|peer| transform::client_cert(own, peer.as_str())),
            who,
            http_metrics: RefCell::default(),
            grpc_metrics: RefCell::default(),
            named: Cell::new(false),
        };
        (stream, Rc::new(requests))
    }

    /// The series of this connection; made anew once the control plane has said who the peer's address belongs to.
    fn metrics(&self, grpc: bool) -> Rc<EdgeMetrics> {
        if !self.named.get() && self.worker.peer(self.who.downstream.ip()).is_some() {
            self.named.set(true);
            self.http_metrics.take();
            self.grpc_metrics.take();
        }
        let cell = if grpc {
            &self.grpc_metrics
        } else {
            &self.http_metrics
        };
        let mut metrics = cell.borrow_mut();
        metrics
            .get_or_insert_with(|| metrics::http(&self.worker, &self.who, grpc))
            .clone()
    }

    /// May the request in, and where does it go? By the policy as it is now, so that a change applies to kept connections.
    /// The head becomes the one that the application gets, so that policies judge what it will see.
    async fn admit(&self, request: &mut Request) -> Result<Admitted, Refused> {
        let inbound = self.worker.inbound().ok_or(Reason::ConfigUnavailable)?;
        let token = match self.worker.tokens() {
            Some(tokens) => tokens.authenticate(&self.worker.clock, &mut request.head)?,
            None => None,
        };
        let token = token.as_deref().map(|verified| &verified.facts);
        let connection = authorize::facts(&self.who);
        let mut to_client = Vec::new();
        if !inbound.authorization.external.is_empty() {
            let asks = external::asks(&inbound, &connection, Some(&self.facts(&request.head, token)))?;
            // A future of its own size only where it is needed.
            let asked = Box::pin(external::request(&self.worker, &self.who, &asks, request));
            to_client = asked.await?;
        }
        let head = &request.head;
        let facts = self.facts(head, token);
        authorize::authorize(&inbound, &connection, Some(&facts))?;
        if let Some(limits) = self.worker.rate_limits() {
            let caller = limit::Caller {
                connection: &connection,
                key: self.key,
            };
            limit::limit(&self.worker, &limits, &caller, &facts).await?;
        }
        let wanted = match Wanted::by(head) {
            Wanted::Http1 if is_http2(inbound.port(connection.port).protocol) => Wanted::Http2,
            wanted => wanted,
        };
        Ok(Admitted {
            app: self.app(&inbound),
            wanted,
            to_client,
        })
    }

    /// What policies judge of a request.
    fn facts<'a>(&self, head: &'a RequestHead, token: Option<&'a TokenFacts>) -> RequestFacts<'a> {
        let asked = self.worker.asks_remote_ip();
        RequestFacts {
            token,
            remote_ip: asked
                .then(|| wattle_model::original_client(self.who.peer.is_some(), &head.headers))
                .flatten(),
            ..route::facts(head, CallerFacts::default())
        }
    }

    /// The application's port, where it listens now.
    fn app(&self, inbound: &Inbound) -> Rc<App> {
        let address = super::target(Some(inbound), self.who.local);
        let mut app = self.app.borrow_mut();
        if app.address != address {
            *app = self.worker.apps.at(&self.worker, address);
        }
        app.clone()
    }

    async fn send(&self, app: &App, wanted: Wanted, request: Request) -> Result<Response, Reason> {
        let mut request = Box::new(request);
        for _ in 0..MAX_STALE {
            let connection = connect::app(&self.worker, app, wanted).await.map_err(|failure| {
                tracing::debug!(
                    port = app.address.port(),
                    cause = failure.cause,
                    "application not reached"
                );
                failure.reason
            })?;
            match exchange::exchange(connection, *request).await {
                Ok(answered) => return Ok(answered.response),
                Err(SendError {
                    kind: SendErrorKind::Unrepresentable,
                    ..
                }) => return Err(Reason::BadRequest),
                Err(SendError {
                    request: Some(again),
                    reused: true,
                    ..
                }) => request = again,
                Err(error) => return Err(exchange::reason(&error.kind)),
            }
        }
        Err(Reason::UpstreamResetBeforeResponse)
    }

    fn refused(&self, mut record: Record, refused: impl Into<Refused>) -> Response {
        let refused = refused.into();
        record.local(refused.reason);
        record.detail(refused.detail);
        let mut response = refused.reply(record.is_grpc());
        record.local_head(&response.head);
        response.body = record.watch(response.body);
        response
    }
}

impl Handler for Requests {
    async fn handle(&self, mut request: Request) -> Response {
        if self.marked {
            transform::unmark_request(&mut request.head);
        }
        let mut record = Record::begin(
            &self.worker,
            &request.head,
            &mut request.body,
            self.who.downstream,
            self.who.local,
        );
        record.on(self.metrics(record.is_grpc()));
        record.name(|names| names.source = self.who.peer.as_ref().map(|id| id.as_str().into()));
        if !transform::has_host(&request.head) {
            return self.refused(record, Reason::BadRequest);
        }
        // First, so that `connection` takes away nothing that is set here.
        transform::leave_downstream(&mut request.head);
        let Admitted {
            app,
            wanted,
            to_client,
        } = match self.admit(&mut request).await {
            Ok(admitted) => admitted,
            Err(refused) => return self.refused(record, refused),
        };
        match app.bounds.request() {
            Ok(permit) => record.count(permit),
            Err(reason) => return self.refused(record, reason),
        }
        if let Err(reason) = exchange::keep_small_body(&mut request).await {
            return self.refused(record, reason);
        }
        transform::name_peer(&mut request.head.headers, self.client_cert.as_ref());
        let mut response = match self.send(&app, wanted, request).await {
            Ok(answered) => answered,
            Err(reason) => return self.refused(record, reason),
        };
        record.answered(app.address, &response.head);
        transform::leave_upstream(&mut response.head);
        transform::leave_application(&mut response.head);
        to_client
            .iter()
            .for_each(|change| change.apply(&mut response.head.headers));
        if self.marked {
            transform::mark_response(&mut response.head);
        }
        response.body = record.watch(response.body);
        response
    }

    fn refuse(&self, error: &ParseError) -> ResponseHead {
        reply::refusal(error)
    }
}
