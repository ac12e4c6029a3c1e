//! Requests of the workload: route → transform → forward → record.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use http::{Method, header};
use tokio::time::Instant;
use wattle_http::{Handler, ParseError, Request, Response, ResponseHead};
use wattle_model::{Backend, Filters, NoTrace, Outcome, Reason, RouteDecision, RouteRule, Timeouts, host_of};

use super::attempt::TryLimits;
use super::forward::{Forward, Forwarded};
use super::{metrics, mirror};
use crate::phases::connect::Wanted;
use crate::phases::pick::{self, Wish};
use crate::phases::record::Record;
use crate::phases::relay::Staying;
use crate::phases::session::Session;
use crate::phases::uploaded::Uploaded;
use crate::phases::{deadline, delay, exchange, reply, route, transform};
use crate::worker::{AskedHost, Service, SharedCluster, Worker, goes_by_host};

/// One connection of the workload to one destination.
pub(super) struct Outbound {
    pub(super) worker: Rc<Worker>,
    pub(super) service: Rc<Service>,
    pub(super) downstream: SocketAddr,
    pub(super) local: SocketAddr,
}

impl Handler for Outbound {
    async fn handle(&self, mut request: Box<Request>) -> Response {
        let mut record = Record::begin(
            &self.worker,
            &request.head,
            &mut request.body,
            self.downstream,
            self.local,
        );
        if !transform::has_host(&request.head) {
            return self.refuse_with(record, &self.service, Reason::BadRequest);
        }
        // As the control plane has it now: a kept connection follows changes of its routes.
        let service = match self.worker.destinations.find(&self.worker, self.local).await {
            Ok(service) => service,
            Err(reason) => return self.refuse_with(record, &self.service, reason),
        };
        let own = self.worker.inbound();
        let caller = route::caller(own.as_deref(), self.downstream.ip());
        let service = match route::in_scope(&self.worker, &service, &caller, self.local) {
            Ok(service) => service,
            Err(reason) => return self.refuse_with(record, &service, reason),
        };
        let random = self.worker.clock.random();
        let facts = route::facts(&request.head, caller);
        let mut decision = service.destination.route(&facts, random, &mut NoTrace);
        self.name_route(&mut record, &service, decision.rule);
        if let Some(delay) = decision.delay {
            delay::wait(delay, &mut record).await;
        }
        let cors = std::mem::take(&mut decision.cors);
        let mut response = match decision.outcome {
            Outcome::Forward { .. } => {
                let decided = (&mut decision, random);
                self.forward(request, record, &service, decided).await
            }
            _ => self.answered_here(record, &service, decision),
        };
        transform::cors(&mut response.head, cors);
        response
    }

    fn refuse(&self, error: &ParseError) -> ResponseHead {
        reply::refusal(error)
    }
}

impl Outbound {
    fn name_route(&self, record: &mut Record, service: &Service, rule: Option<&RouteRule>) {
        record.name(|names| {
            names.service = service.destination.service.as_ref().map(|port| port.host.clone());
            names.route = rule.map(|rule| rule.origin.object.name.clone());
        });
    }

    /// What was decided to be answered without a backend.
    fn answered_here(
        &self,
        mut record: Box<Record>,
        service: &Service,
        decision: RouteDecision<'_>,
    ) -> Response {
        let grpc = record.is_grpc();
        let mut response = match decision.outcome {
            Outcome::Forward { .. } => return self.refuse_with(record, service, Reason::Internal),
            Outcome::Refuse(reason) => return self.refuse_with(record, service, reason),
            // It says what a browser may ask, and is no answer of the rule, as in Envoy.
            Outcome::Preflight(permission) => {
                return self.answer(record, service, reply::preflight(permission));
            }
            Outcome::Abort(abort) => {
                record.because(Reason::FaultInjected);
                reply::aborted(abort, grpc)
            }
            Outcome::Redirect { status, ref location } => reply::redirect(status, location),
            Outcome::Respond(direct) => reply::direct(direct, grpc),
        };
        if let Some(rule) = decision.rule {
            transform::response(&mut response.head, &rule.filters);
        }
        self.answer(record, service, response)
    }

    /// An answer of the proxy's own.
    fn answer(&self, mut record: Box<Record>, service: &Service, mut response: Response) -> Response {
        record.on(metrics::refused(&self.worker, service, record.is_grpc()));
        record.local_head(&response.head);
        response.body = record.watch(response.body);
        response
    }

    fn refuse_with(&self, mut record: Box<Record>, service: &Service, reason: Reason) -> Response {
        record.on(metrics::refused(&self.worker, service, record.is_grpc()));
        record.local(reason);
        let mut response = reply::local(reason, record.is_grpc());
        response.body = record.watch(response.body);
        response
    }

    /// The backend's endpoints, where its host is known to be if it asks for that.
    async fn reached(
        &self,
        request: &Request,
        service: &Service,
        (index, backend): (u32, &Backend),
    ) -> Result<SharedCluster, Reason> {
        if !goes_by_host(backend) {
            return service.cluster(index).cloned().ok_or(Reason::NoBackend);
        }
        let asked = AskedHost {
            host: Some(host_of(request.head.authority.as_ref())),
            dialled: self.local,
            caller: self.downstream.ip(),
        };
        // Boxed, so that no other request's future is the larger for it.
        Box::pin(service.by_host(&self.worker, (index, backend), asked)).await
    }

    async fn forward<'a>(
        &self,
        mut request: Box<Request>,
        mut record: Box<Record>,
        service: &'a Rc<Service>,
        (decision, random): (&mut RouteDecision<'a>, u64),
    ) -> Response {
        let session = Session::resume(&self.worker, service, decision, &request.head);
        let Outcome::Forward {
            backend,
            index,
            filters,
        } = &decision.outcome
        else {
            return self.refuse_with(record, service, Reason::Internal);
        };
        let rule = decision.rule;
        let cluster = match self.reached(&request, service, (*index, backend)).await {
            Ok(cluster) => cluster,
            Err(reason) => return self.refuse_with(record, service, reason),
        };
        if let Err(reason) = exchange::keep_small_body(&mut request).await {
            return self.refuse_with(record, service, reason);
        }
        transform_request(&mut request, rule, *filters);
        let timeouts = rule.map(|rule| rule.timeouts).unwrap_or_default();
        let (until, uploaded) = bound(&mut request, &mut record, &timeouts);
        mirror::send(&self.worker, service, decision, random, &mut request);
        let connect = request.head.method == Method::CONNECT;
        let (hash, cookie) = pick::hash(&self.worker, &cluster, &request.head, self.downstream.ip());
        let forward = Forward {
            worker: &self.worker,
            cluster: &cluster,
            backend,
            frontend: service.destination.service.as_ref(),
            wanted: Wanted::by(&request.head),
            wish: Wish {
                hash,
                session: session.endpoint(),
            },
            limits: TryLimits {
                whole: timeouts.backend_request,
                response: uploaded.as_ref(),
            },
            until,
            retry: rule.and_then(|rule| rule.retry.as_deref()),
            too_slow: Cell::new(false),
            rests_on: RefCell::default(),
        };
        let (mut response, tag) = match forward.run(request, record).await {
            Ok(forwarded) => received(forwarded, connect),
            Err((reason, record)) => (self.fail(record, service, reason), None),
        };
        // A reply of the proxy's own gets what the rule gives to answers, as Envoy's does.
        let route = rule.map(|rule| &*rule.filters);
        for filters in filters.iter().copied().chain(route) {
            transform::response(&mut response.head, filters);
        }
        if let Some(tag) = tag {
            session.tell(&self.worker, &mut response.head, tag);
            let headers = &mut response.head.headers;
            headers.extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
        }
        response
    }

    /// A local reply after endpoints were tried: it counts on the edge to the last of them.
    fn fail(&self, mut record: Box<Record>, service: &Service, reason: Reason) -> Response {
        if !record.is_placed() {
            record.on(metrics::refused(&self.worker, service, record.is_grpc()));
        }
        record.local(reason);
        let mut response = reply::local(reason, record.is_grpc());
        response.body = record.watch(response.body);
        response
    }
}

/// An answer of an endpoint, with what a session is to be told of it.
fn received(forwarded: Forwarded, connect: bool) -> (Response, Option<Option<u64>>) {
    let Forwarded {
        mut response,
        mut record,
        tag,
        rests_on,
    } = forwarded;
    if exchange::is_tunnel(&response, connect) {
        record.is_tunnel();
        if let Some(proof) = rests_on {
            record.while_let_in(Staying::believed(proof));
        }
    }
    transform::leave_upstream(&mut response.head);
    response.body = record.watch(response.body);
    (response, Some(tag))
}

/// Takes the request off its hop and applies the filters of its rule, then those of its backend.
fn transform_request(request: &mut Request, rule: Option<&RouteRule>, filters: Option<&Filters>) {
    transform::leave_downstream(&mut request.head);
    let matched = rule.and_then(|rule| rule.matches.path.as_ref());
    let route = rule.map(|rule| &*rule.filters);
    for filters in route.into_iter().chain(filters) {
        transform::request(&mut request.head, filters, matched);
    }
}

/// Sets the limits of time that begin now: when the exchange is over, and the watch on the request's end.
fn bound(
    request: &mut Request,
    record: &mut Record,
    timeouts: &Timeouts,
) -> (Option<Instant>, Option<Uploaded>) {
    let limit = deadline::limit(&mut request.head, record.is_grpc(), timeouts.request);
    let until = limit.and_then(|limit| Instant::now().checked_add(limit));
    if let Some(until) = until {
        record.until(until);
    }
    if let Some(limit) = timeouts.idle {
        record.idle_after(limit, &mut request.body);
    }
    let watch = |limit| Uploaded::watch(limit, &mut request.body);
    (until, timeouts.response.map(watch))
}
