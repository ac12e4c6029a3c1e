//! Route: the model decides; this file only lends it the facts.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use wattle_http::RequestHead;
use wattle_model::{Access, CallerFacts, Inbound, NoTrace, Reason, RequestFacts};

use crate::worker::{Service, Worker};

/// The workload that sends: what the control plane says of it, and the address it sends from.
pub(crate) fn caller(own: Option<&Inbound>, address: IpAddr) -> CallerFacts<'_> {
    CallerFacts {
        labels: own.map_or(&[], |own| &own.labels),
        address,
    }
}

/// The service as it is to this caller: itself, or the address that was dialled, or nothing to be reached.
pub(crate) fn in_scope(
    worker: &Worker,
    service: &Rc<Service>,
    caller: &CallerFacts<'_>,
    dialled: SocketAddr,
) -> Result<Rc<Service>, Reason> {
    match service.destination.access(caller, &mut NoTrace) {
        Access::Full => Ok(service.clone()),
        Access::PassThrough => Ok(service.as_dialled(worker, dialled)),
        Access::Refused(reason) => Err(reason),
    }
}

/// The facts of a request's head; `caller` is [`caller`] outbound and nobody inbound.
pub(crate) fn facts<'a>(head: &'a RequestHead, caller: CallerFacts<'a>) -> RequestFacts<'a> {
    let target = head.path_and_query.as_str();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    RequestFacts {
        method: head.method.as_str(),
        scheme: head.scheme.as_str(),
        authority: head.authority.as_str(),
        path,
        query,
        headers: &head.headers,
        caller,
        remote_ip: None,
        token: None,
    }
}
