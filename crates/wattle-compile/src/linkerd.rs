//! What Linkerd's annotations and kinds say.

use wattle_api::{LinkerdAnnotations, Meta};
use wattle_model::traffic::FailureAccrual;

use crate::Name;
use crate::view::View;

pub(crate) mod clients;
pub(crate) mod gate;
pub(crate) mod identity;
pub(crate) mod profile;
pub(crate) mod server;

/// Retries and timeouts of a route: its own annotations, which replace those of its Service altogether.
pub(crate) fn said(route: &Meta, parent: &Name, view: &View<'_>) -> LinkerdAnnotations {
    let own = LinkerdAnnotations::of(route);
    if says_how_to_send(&own) {
        return own;
    }
    view.service(parent)
        .map(|service| LinkerdAnnotations::of(&service.meta))
        .unwrap_or_default()
}

/// Whether retries or timeouts are among them.
pub(crate) fn says_how_to_send(said: &LinkerdAnnotations) -> bool {
    said.retry.is_some()
        || said.request_timeout.is_some()
        || said.response_timeout.is_some()
        || said.idle_timeout.is_some()
}

/// Whether the annotation of a Service or workload makes a port of it opaque.
pub(crate) fn is_opaque(meta: &Meta, port: u16) -> bool {
    let said = LinkerdAnnotations::of(meta);
    said.opaque_ports.is_some_and(|ports| ports.contains(port))
}

/// When endpoints of a Service are taken out; `None` where that is never.
pub(crate) fn accrual(said: &LinkerdAnnotations) -> Option<FailureAccrual> {
    let written = said.failure_accrual.filter(|accrual| accrual.max_failures > 0)?;
    Some(FailureAccrual {
        max_failures: written.max_failures,
        min_penalty: written.min_penalty,
        max_penalty: written.max_penalty,
        jitter_ratio: f64::from(written.jitter_thousandths) / 1000.0,
    })
}
