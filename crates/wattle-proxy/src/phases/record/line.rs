//! The line that the access log gets of one request.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::SystemTime;

use http::{HeaderValue, Method, Version, header};
use wattle_http::{ByteStr, RequestHead};
use wattle_telemetry::access::AccessRecord;
use wattle_telemetry::{Exchange, Reporter};

use crate::phases::refuse;
use crate::worker::Worker;

/// What only the log wants to know.
pub(super) struct Line {
    pub(super) start: SystemTime,
    pub(super) method: Method,
    pub(super) target: ByteStr,
    pub(super) authority: ByteStr,
    pub(super) version: Version,
    pub(super) user_agent: Option<HeaderValue>,
    pub(super) request_id: Option<HeaderValue>,
    pub(super) forwarded_for: Option<HeaderValue>,
    pub(super) traceparent: Option<HeaderValue>,
    pub(super) downstream: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) upstream: Option<SocketAddr>,
    pub(super) upstream_us: Option<u64>,
    pub(super) reason: &'static str,
    pub(super) detail: &'static str,
    pub(super) names: Names,
}

/// Names for the log that outlive the request.
#[derive(Clone, Default)]
pub(crate) struct Names {
    /// Which side of the hop this proxy is.
    pub(crate) reporter: Reporter,
    /// SPIFFE name of the client.
    pub(crate) source: Option<Rc<str>>,
    /// Name that the client asked for in TLS.
    pub(crate) server_name: Option<Rc<str>>,
    /// SPIFFE name of the server.
    pub(crate) destination: Option<Rc<str>>,
    /// Names the facts that are kept of a refusal.
    pub(crate) refusal: Option<Rc<str>>,
    /// The policy that marks it for auditing.
    pub(crate) audited_by: Option<Rc<str>>,
    /// What the policies that are tried only would decide.
    pub(crate) dry_run: Option<Rc<str>>,
    /// Host of the service.
    pub(crate) service: Option<std::sync::Arc<str>>,
    /// Name of the route.
    pub(crate) route: Option<std::sync::Arc<str>>,
}

impl Names {
    /// SPIFFE name of the server: on the way in, this proxy's own.
    pub(crate) fn destination<'a>(&'a self, worker: &'a Worker) -> &'a str {
        match self.reporter {
            Reporter::Destination => worker.settings.id.as_str(),
            Reporter::Source | Reporter::Waypoint => self.destination.as_deref().unwrap_or_default(),
        }
    }
}

impl Line {
    /// What the request's head says.
    pub(super) fn of(worker: &Worker, head: &RequestHead, downstream: SocketAddr, local: SocketAddr) -> Self {
        Self {
            start: worker.clock.wall(),
            method: head.method.clone(),
            target: head.path_and_query.clone(),
            authority: head.authority.clone(),
            version: head.version,
            user_agent: head.headers.get(header::USER_AGENT).cloned(),
            request_id: head.headers.get("x-request-id").cloned(),
            forwarded_for: head.headers.get("x-forwarded-for").cloned(),
            traceparent: refuse::traceparent(&head.headers).cloned(),
            downstream,
            local,
            upstream: None,
            upstream_us: None,
            reason: "",
            detail: "",
            names: Names::default(),
        }
    }

    pub(super) fn write(&self, worker: &Worker, exchange: &Exchange) {
        let Some(access) = &worker.access else { return };
        let traceparent = text(self.traceparent.as_ref());
        let target = self.target.as_str();
        access.borrow_mut().log(&AccessRecord {
            reporter: self.names.reporter,
            instance: &worker.settings.instance,
            start: self.start,
            method: self.method.as_str(),
            // A query may hold a secret, so it is not written.
            path: target.split_once('?').map_or(target, |(path, _)| path),
            authority: self.authority.as_str(),
            protocol: version_text(self.version),
            response_code: exchange.status.code,
            response_flags: exchange.status.flags,
            reason: self.reason,
            detail: self.detail,
            refusal: self.names.refusal.as_deref().unwrap_or_default(),
            audited_by: self.names.audited_by.as_deref().unwrap_or_default(),
            dry_run: self.names.dry_run.as_deref().unwrap_or_default(),
            grpc_status: exchange.status.grpc,
            bytes_received: exchange.request_bytes,
            bytes_sent: exchange.response_bytes,
            duration_us: exchange.duration_us,
            upstream_duration_us: self.upstream_us,
            upstream: self.upstream,
            downstream: Some(self.downstream),
            downstream_local: Some(self.local),
            source_principal: self.names.source.as_deref().unwrap_or_default(),
            destination_principal: self.names.destination(worker),
            destination_service: self.names.service.as_deref().unwrap_or_default(),
            route: self.names.route.as_deref().unwrap_or_default(),
            user_agent: text(self.user_agent.as_ref()),
            request_id: text(self.request_id.as_ref()),
            forwarded_for: text(self.forwarded_for.as_ref()),
            server_name: self.names.server_name.as_deref().unwrap_or_default(),
            trace_id: wattle_telemetry::trace_id(traceparent).unwrap_or_default(),
        });
    }
}

fn text(value: Option<&HeaderValue>) -> &str {
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn version_text(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}
