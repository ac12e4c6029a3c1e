//! Policies: whom they are for, which of them wins, and what of them cannot be evaluated.

use std::sync::Arc;

use wattle_api::{
    Action, AuthorizationPolicy, Meta, PeerAuthentication, RequestAuthentication, Resource, Selector,
    TargetRef,
};
use wattle_jwt::KeySet;

use super::{Findings, external};
use crate::authorization;
use crate::peer_authentication::oldest;
use crate::view::View;

pub(super) fn check_peer(
    policy: &Resource<PeerAuthentication>,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    let namespace = &policy.meta.namespace;
    let Some(selector) = &policy.spec.selector else {
        let rivals = view
            .peer_authentications(namespace)
            .filter(|rival| rival.spec.selector.is_none());
        return conflict(policy, oldest(rivals), findings);
    };
    if !view
        .workloads_in(namespace)
        .any(|instance| selector.selects(&instance.labels))
    {
        nothing_selected(findings);
    }
    for instance in view
        .workloads_in(namespace)
        .filter(|instance| selector.selects(&instance.labels))
    {
        let selects = |rival: &Selector| rival.selects(&instance.labels);
        let rivals = view
            .peer_authentications(namespace)
            .filter(|rival| rival.spec.selector.as_ref().is_some_and(selects));
        let before = findings.found.len();
        conflict(policy, oldest(rivals), findings);
        if findings.found.len() > before {
            return;
        }
    }
}

fn conflict(
    policy: &Resource<PeerAuthentication>,
    winner: Option<&Arc<Resource<PeerAuthentication>>>,
    findings: &mut Findings<'_>,
) {
    if let Some(winner) = winner.filter(|winner| winner.meta.name != policy.meta.name) {
        let reason = format!(
            "PeerAuthentication {} is for the same workloads and wins: it is older, or first by name",
            winner.meta.name
        );
        findings.warn("policy-conflict", "", reason, "keep one of them");
    }
}

fn nothing_selected(findings: &mut Findings<'_>) {
    let reason = "no workload has these labels".to_owned();
    let hint = "compare them with the labels of your workloads";
    findings.warn("selects-nothing", "spec.selector", reason, hint);
}

/// A policy of the root namespace is for all workloads, which come and go.
fn selection(meta: &Meta, selector: Option<&Selector>, view: &View<'_>, findings: &mut Findings<'_>) {
    let mesh_wide = meta.namespace == view.settings.root_namespace;
    if let Some(selector) = selector.filter(|_| !mesh_wide)
        && !view
            .workloads_in(&meta.namespace)
            .any(|instance| selector.selects(&instance.labels))
    {
        nothing_selected(findings);
    }
}

/// Keys that are written in the policy have to be some.
pub(super) fn check_tokens(
    policy: &Resource<RequestAuthentication>,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    selection(&policy.meta, policy.spec.selector.as_ref(), view, findings);
    targets(&policy.meta, &policy.spec.target_refs, view, findings);
    for (index, rule) in policy.spec.jwt_rules.iter().enumerate() {
        let Some(text) = &rule.jwks else { continue };
        let field = format!("spec.jwtRules[{index}].jwks");
        let hint = "write a JSON Web Key Set with public keys";
        let set = match KeySet::parse(text) {
            Ok(set) => set,
            Err(error) => {
                let reason = format!("{error}; the rule's tokens are refused");
                findings.error("keys-unusable", &field, reason, hint);
                continue;
            }
        };
        if set.is_empty() {
            let reason = "no key can be used; the rule's tokens are refused".to_owned();
            findings.error("keys-unusable", &field, reason, hint);
        }
        for problem in set.problems() {
            findings.warn("key-unusable", &field, problem.to_string(), hint);
        }
    }
}

pub(super) fn check_authorization(
    policy: &Resource<AuthorizationPolicy>,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    selection(&policy.meta, policy.spec.selector.as_ref(), view, findings);
    targets(&policy.meta, &policy.spec.target_refs, view, findings);
    external::check_policy(policy, view, findings);
    for (index, rule) in policy.spec.rules.iter().enumerate() {
        let compiled = authorization::rule(rule, &policy.meta.namespace, view.settings);
        if let Some(field) = compiled.unsupported {
            let effect = match policy.spec.action {
                Action::Allow => "the rule allows nothing",
                Action::Custom => "the service is asked about whatever the rest of it matches",
                _ => "the rule refuses whatever the rest of it matches",
            };
            let reason = format!("{field} cannot be evaluated yet; {effect}");
            findings.error(
                "field-not-supported",
                &format!("spec.rules[{index}]"),
                reason,
                "remove the field",
            );
        }
        admits_anonymous(policy, index, findings);
    }
}

/// Istio lets a caller without identity satisfy `notPrincipals` and the like: legal, and rarely meant.
fn admits_anonymous(policy: &Resource<AuthorizationPolicy>, index: usize, findings: &mut Findings<'_>) {
    let Some(rule) = policy
        .spec
        .rules
        .get(index)
        .filter(|_| policy.spec.action == Action::Allow)
    else {
        return;
    };
    for (position, source) in rule.from.iter().enumerate() {
        let by_identity = !source.principals.any.is_empty()
            || !source.namespaces.any.is_empty()
            || !source.service_accounts.any.is_empty();
        let excludes = !source.principals.not.is_empty()
            || !source.namespaces.not.is_empty()
            || !source.service_accounts.not.is_empty();
        if excludes && !by_identity {
            let field = format!("spec.rules[{index}].from[{position}]");
            let reason =
                "a caller without identity is allowed, since it is none of those excluded".to_owned();
            findings.warn("allows-anonymous", &field, reason, "add principals: [\"*\"]");
        }
    }
}

fn targets(meta: &Meta, refs: &[TargetRef], view: &View<'_>, findings: &mut Findings<'_>) {
    for (index, target) in refs.iter().enumerate() {
        let field = format!("spec.targetRefs[{index}]");
        if !target.group.is_empty() || target.kind != "Service" {
            let reason = format!(
                "a target of kind {} is not served yet; nothing is protected by it",
                target.kind
            );
            findings.error("target-not-supported", &field, reason, "use a selector");
        } else if view
            .service(&(meta.namespace.clone(), target.name.as_str().into()))
            .is_none()
        {
            let reason = format!("there is no Service {}", target.name);
            findings.error("target-not-found", &field, reason, "check the name");
        }
    }
}
