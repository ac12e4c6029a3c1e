//! Pick: an endpoint for one try.

use wattle_balance::{EndpointId, Picked};
use wattle_model::Reason;

use crate::worker::{Cluster, Upstream, Worker};

/// An endpoint of the cluster, not one of those that were tried if another is fit.
pub(crate) fn pick(
    worker: &Worker,
    cluster: &Cluster,
    tried: &[EndpointId],
) -> Result<Picked<Upstream>, Reason> {
    cluster
        .pick(worker.clock.random(), worker.clock.now_ns(), tried)
        .ok_or(Reason::NoEndpoints)
}
