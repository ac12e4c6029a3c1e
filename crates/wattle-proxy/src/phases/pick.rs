//! Pick: an endpoint for one try.

use std::net::IpAddr;

use wattle_balance::{EndpointId, Picked};
use wattle_http::RequestHead;
use wattle_model::Reason;
use wattle_model::traffic::{Balance, HashFacts, HashKey, hash_address};

use super::route;
use crate::worker::{Cluster, Connecting, Upstream, Worker};

/// An endpoint of the cluster, not one of those that were tried if another is fit; the request counts until the pick is dropped.
pub(crate) fn pick(
    worker: &Worker,
    cluster: &Cluster,
    hash: Option<u64>,
    tried: &[EndpointId],
) -> Result<Picked<Upstream>, Reason> {
    let mut picked = cluster.pick(hash, worker, tried)?;
    let now = worker.clock.now_ns();
    cluster.bounds.admit(&mut picked, now, tried.is_empty())?;
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

/// The hash of a request, where the backend's policy goes by one and the request has what is hashed.
pub(crate) fn hash(cluster: &Cluster, head: &RequestHead, caller: IpAddr) -> Option<u64> {
    if !cluster.bounds.is_by_hash() {
        return None;
    }
    match &cluster.bounds.policy().balance {
        Balance::Hash { key, .. } => {
            let facts = route::facts(head, route::caller(None, caller));
            key.hash(&facts, HashFacts { address: caller })
        }
        _ => None,
    }
}
