//! Linkerd's annotations and kinds: what of them has no effect where it was written.

use wattle_api::{LinkerdAnnotations, Object};

use super::Findings;
use crate::any_route::AnyRoute;
use crate::linkerd::says_how_to_send;

/// Annotations that the kind of the object does not take.
pub(super) fn check_annotations(object: &Object, findings: &mut Findings<'_>) {
    let said = LinkerdAnnotations::of(object.meta());
    if said == LinkerdAnnotations::default() {
        return;
    }
    let route = AnyRoute::of(object);
    let sends = matches!(object, Object::Service(_)) || route.is_some_and(|route| route.is_for_requests());
    let takes_ports = matches!(
        object,
        Object::Service(_) | Object::Process(_) | Object::WorkloadEntry(_)
    );
    let has_default = matches!(
        object,
        Object::Namespace(_) | Object::Process(_) | Object::WorkloadEntry(_)
    );
    let unheard = [
        (
            "config.linkerd.io/default-inbound-policy",
            said.default_inbound_policy.is_some() && !has_default,
        ),
        (
            "retry.linkerd.io, timeout.linkerd.io",
            says_how_to_send(&said) && !sends,
        ),
        (
            "balancer.linkerd.io/failure-accrual",
            said.failure_accrual.is_some() && !matches!(object, Object::Service(_)),
        ),
        (
            "config.linkerd.io/opaque-ports",
            said.opaque_ports.is_some() && !takes_ports,
        ),
        (
            "config.linkerd.io/skip-inbound-ports",
            said.skip_inbound_ports.is_some(),
        ),
        (
            "config.linkerd.io/skip-outbound-ports",
            said.skip_outbound_ports.is_some(),
        ),
    ];
    for (annotation, _) in unheard.iter().filter(|(_, unheard)| *unheard) {
        findings.no_effect(
            "metadata.annotations",
            &format!("{annotation} is not applied to this kind"),
        );
    }
}
