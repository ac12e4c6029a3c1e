//! Pick: an endpoint for one try.

use std::net::IpAddr;
use std::rc::Rc;

use http::HeaderValue;
use wattle_balance::{EndpointId, Member, Picked};
use wattle_http::{RequestHead, Scheme};
use wattle_model::Reason;
use wattle_model::traffic::{Balance, HashFacts, HashKey, hash_address};

use super::route;
use crate::worker::{Cluster, Connecting, Upstream, Worker};

/// What one request asks of the choice.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wish<'a> {
    /// Hash of the request, where the backend's policy goes by one.
    pub(crate) hash: Option<u64>,
    /// The endpoint of its session.
    pub(crate) session: Option<&'a Rc<Member<Upstream>>>,
}

/// An endpoint of the cluster, not one of those that were tried if another is fit; the request counts until the pick is dropped.
pub(crate) fn pick(
    worker: &Worker,
    cluster: &Cluster,
    wish: Wish<'_>,
    tried: &[EndpointId],
) -> Result<Picked<Upstream>, Reason> {
    let kept = wish.session.filter(|member| !tried.contains(&member.id()));
    let mut picked = match kept {
        Some(member) => Picked::of(member, worker.clock.now_ns(), worker.clock.random()),
        None => cluster.pick(wish.hash, worker, tried)?,
    };
    cluster.bounds.admit(&mut picked)?;
    Ok(picked)
}

/// The same for an opaque connection, which counts among the backend's connections.
pub(crate) fn connection(
    worker: &Worker,
    cluster: &Cluster,
    caller: IpAddr,
    tried: &[EndpointId],
) -> Result<Picked<Upstream>, Reason> {
    let hash = match cluster.bounds.policy().balance {
        Balance::Hash {
            key: HashKey::SourceAddress,
            ..
        } => Some(hash_address(caller)),
        _ => None,
    };
    let mut picked = cluster.pick(hash, worker, tried)?;
    match cluster.bounds.connection() {
        Connecting::Uncounted => {}
        Connecting::Counted(permit) => picked.attach(permit),
        Connecting::Full => return Err(Reason::UpstreamOverflow),
    }
    Ok(picked)
}

/// The hash of a request, where the backend's policy goes by one and the request has what is hashed; and the cookie that
/// the response sets where the policy goes by one that did not come.
pub(crate) fn hash(
    worker: &Worker,
    cluster: &Cluster,
    head: &RequestHead,
    caller: IpAddr,
) -> (Option<u64>, Option<HeaderValue>) {
    if !cluster.bounds.is_by_hash() {
        return (None, None);
    }
    let Balance::Hash { key, .. } = &cluster.bounds.policy().balance else {
        return (None, None);
    };
    let facts = route::facts(head, route::caller(None, caller));
    match key.hash(&facts, HashFacts { address: caller }) {
        Some(hash) => (Some(hash), None),
        None => key
            .fresh(worker.clock.random(), head.scheme == Scheme::Https)
            .unzip(),
    }
}
