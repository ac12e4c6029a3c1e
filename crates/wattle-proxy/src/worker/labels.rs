//! Workloads as labels of metrics.

use wattle_model::Workload;
use wattle_telemetry::Peer;

/// The `*_workload`, `*_app`, … labels of a workload.
pub(crate) fn peer_of(workload: &Workload) -> Peer {
    Peer {
        workload: (&*workload.name).into(),
        namespace: (&*workload.namespace).into(),
        principal: principal_of(workload).unwrap_or_default().into(),
        app: (&*workload.app).into(),
        version: (&*workload.version).into(),
        cluster: (&*workload.cluster).into(),
        canonical_service: (&*workload.canonical_service).into(),
        canonical_revision: (&*workload.canonical_revision).into(),
    }
}

/// The SPIFFE name of a workload; `None` for one without identity.
pub(crate) fn principal_of(workload: &Workload) -> Option<String> {
    if workload.trust_domain.is_empty() || workload.service_account.is_empty() {
        return None;
    }
    Some(format!(
        "spiffe://{}/ns/{}/sa/{}",
        workload.trust_domain, workload.namespace, workload.service_account
    ))
}
