//! Requests to the workload: authenticate → external → authorize → limit → transform → connect → exchange → record.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use http::{HeaderValue, Method};
use wattle_http::{
    Handler, ParseError, Request, RequestHead, Response, ResponseHead, SendError, SendErrorKind,
};
use wattle_model::traffic::hash_text;
use wattle_model::{Inbound, Reason, RequestFacts, TokenFacts};
use wattle_net::Stream;
use wattle_telemetry::{EdgeMetrics, Reporter};

use super::apps::App;
use super::staying::{self, Began, LetIn};
use super::{Arrived, Who, metrics};
use crate::phases::authenticate::Verified;
use crate::phases::connect::{self, Wanted};
use crate::phases::limit::{self, Refused};
use crate::phases::record::Record;
use crate::phases::trial::Marks;
use crate::phases::{authorize, exchange, external, refuse, reply, transform};
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
    /// Where it asks to become a tunnel.
    tunnel: Option<Box<LetIn>>,
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
    async fn admit(&self, request: &mut Request, record: &mut Record) -> Result<Admitted, Refused> {
        let inbound = self.worker.inbound().ok_or(Reason::ConfigUnavailable)?;
        if self.who.is_revoked() {
            // It was told to finish, and need not obey.
            return Err(Reason::DownstreamTlsFailure.into());
        }
        transform::normalize(&mut request.head, inbound.paths);
        let verified = match self.worker.tokens() {
            Some(tokens) => tokens.authenticate(&self.worker.clock, &mut request.head)?,
            None => None,
        };
        let token = verified.as_deref().map(|verified| &verified.facts);
        let to_client = match self.judge(&inbound, request, token, record).await {
            Ok(to_client) => to_client,
            Err(refused) => return Err(self.kept(refused, &request.head, token)),
        };
        let wanted = self.wanted(&inbound, &request.head);
        let asks_for_tunnel = match wanted {
            Wanted::Http1 => false,
            Wanted::Http1Tunnel => true,
            Wanted::Http2 => request.head.asks_for_tunnel(),
        };
        Ok(Admitted {
            app: self.app(&inbound),
            wanted,
            to_client,
            tunnel: asks_for_tunnel.then(|| Box::new(self.let_in(&request.head, verified, inbound))),
        })
    }

    /// All that a tunnel is judged by when policy changes.
    fn let_in(&self, head: &RequestHead, token: Option<Rc<Verified>>, inbound: Rc<Inbound>) -> LetIn {
        LetIn {
            who: self.who.clone(),
            request: Some(Box::new(Began {
                head: head.clone(),
                token,
            })),
            judged: Some(inbound),
        }
    }

    /// External, authorize, limit; gives what the response is changed by.
    async fn judge(
        &self,
        inbound: &Inbound,
        request: &mut Request,
        token: Option<&TokenFacts>,
        record: &mut Record,
    ) -> Result<Vec<external::Change>, Refused> {
        let connection = authorize::facts(&self.who);
        let mut to_client = Vec::new();
        if !inbound.authorization.external.is_empty() {
            let asks = external::asks(inbound, &connection, Some(&self.facts(&request.head, token)))?;
            // A future of its own size only where it is needed.
            let asked = Box::pin(external::request(&self.worker, &self.who, &asks, request));
            to_client = asked.await?;
        }
        let head = &request.head;
        let facts = self.facts(head, token);
        if inbound.authorization.tries_or_audits() {
            let marks = Marks::of(&self.worker, inbound, &connection, Some(&facts));
            record.name(|names| marks.tell(names));
        }
        authorize::authorize(inbound, &connection, Some(&facts))?;
        if let Some(limits) = self.worker.rate_limits() {
            let caller = limit::Caller {
                connection: &connection,
                key: self.key,
            };
            limit::limit(&self.worker, &limits, &caller, &facts).await?;
        }
        Ok(to_client)
    }

    /// How the application is spoken to.
    fn wanted(&self, inbound: &Inbound, head: &RequestHead) -> Wanted {
        match Wanted::by(head) {
            Wanted::Http1 if is_http2(inbound.port(self.who.local.port()).protocol) => Wanted::Http2,
            wanted => wanted,
        }
    }

    /// Keeps the facts of a refusal, once.
    fn kept(&self, mut refused: Refused, head: &RequestHead, token: Option<&TokenFacts>) -> Refused {
        if refused.id.is_none() {
            let why = (refused.reason.id(), refused.detail);
            let facts = self.facts(head, token);
            refused.id = Some(refuse::keep(&self.worker, &self.who, why, Some(&facts)));
        }
        refused
    }

    /// Refuses what the application has not seen.
    fn turned_away(&self, record: Box<Record>, head: &RequestHead, refused: impl Into<Refused>) -> Response {
        self.refused(record, self.kept(refused.into(), head, None))
    }

    /// What policies judge of a request.
    fn facts<'a>(&self, head: &'a RequestHead, token: Option<&'a TokenFacts>) -> RequestFacts<'a> {
        authorize::request_facts(&self.worker, &self.who, head, token)
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

    async fn send(&self, app: &App, wanted: Wanted, mut request: Box<Request>) -> Result<Response, Reason> {
        for _ in 0..MAX_STALE {
            let connection = connect::app(&self.worker, app, wanted).await.map_err(|failure| {
                tracing::debug!(
                    port = app.address.port(),
                    cause = failure.cause,
                    "application not reached"
                );
                failure.reason
            })?;
            match exchange::exchange(connection, request).await {
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

    fn refused(&self, mut record: Box<Record>, refused: impl Into<Refused>) -> Response {
        let refused = refused.into();
        record.local(refused.reason);
        record.detail(refused.detail);
        record.name(|names| names.refusal = refused.id.clone());
        let mut response = refused.reply(record.is_grpc());
        record.local_head(&response.head);
        response.body = record.watch(response.body);
        response
    }
}

impl Handler for Requests {
    async fn handle(&self, mut request: Box<Request>) -> Response {
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
        record.name(|names| {
            names.reporter = Reporter::Destination;
            names.source = self.who.peer.as_ref().map(|id| id.as_str().into());
            names.server_name = self.who.sni.clone();
        });
        if !transform::has_host(&request.head) {
            return self.turned_away(record, &request.head, Reason::BadRequest);
        }
        // First, so that `connection` takes away nothing that is set here.
        transform::leave_downstream(&mut request.head);
        let Admitted {
            app,
            wanted,
            to_client,
            tunnel,
        } = match self.admit(&mut request, &mut record).await {
            Ok(admitted) => admitted,
            Err(refused) => return self.turned_away(record, &request.head, refused),
        };
        match app.bounds.request() {
            Ok(permit) => record.count(permit),
            Err(reason) => return self.turned_away(record, &request.head, reason),
        }
        if let Err(reason) = exchange::keep_small_body(&mut request).await {
            return self.refused(record, reason);
        }
        transform::name_peer(&mut request.head.headers, self.client_cert.as_ref());
        let connect = request.head.method == Method::CONNECT;
        let mut response = match self.send(&app, wanted, request).await {
            Ok(answered) => answered,
            Err(reason) => return self.refused(record, reason),
        };
        // First, so that the record hears of no refusal that an application made up.
        transform::leave_application(&mut response.head);
        record.answered(app.address, &response.head);
        if let Some(let_in) = tunnel.filter(|_| exchange::is_tunnel(&response, connect)) {
            record.while_let_in(staying::of(&self.worker, *let_in));
        }
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
