//! Limits on what a workload takes: our RateLimit and Linkerd's HTTPLocalRateLimitPolicy.

use std::sync::Arc;

use http::HeaderName;
use wattle_api::{
    DescriptorEntry, DescriptorSource, Kind, Limit, Object, OnFailure, PolicyTarget, RateLimit as Written,
    RateLimitRule, RateShare, Resource,
};
use wattle_model::{Allowance, DescriptorValue, GlobalLimit, RateLimit, RequestMatch};

use crate::linkerd::server;
use crate::route::object_ref;
use crate::view::{View, selects};
use crate::{Instance, Read, authorization, host, matches};

/// The limits of a workload, by kind and name of the object.
pub(crate) fn of(instance: &Instance, view: &View<'_>) -> Vec<RateLimit> {
    let namespace = Arc::clone(&instance.key.namespace);
    let mut limits = Vec::new();
    for object in view.found(Read::RateLimits(namespace)) {
        match object {
            Object::RateLimit(policy) if selected(policy, instance, view) => {
                let rules = policy.spec.rules.iter();
                limits.extend(rules.filter_map(|rule| compile(rule, policy, view)));
            }
            Object::LocalRateLimit(policy) => limits.extend(server::limits(policy, instance, view)),
            _ => {}
        }
    }
    limits
}

/// True when the limit is for the workload: by its selector, by a Service that has it behind it, or because it names
/// neither.
pub(crate) fn selected(policy: &Resource<Written>, instance: &Instance, view: &View<'_>) -> bool {
    if let Some(selector) = &policy.spec.selector {
        return selector.selects(&instance.labels);
    }
    let behind = |target: &PolicyTarget| {
        let name = (
            Arc::clone(&policy.meta.namespace),
            Arc::from(target.name.as_str()),
        );
        let service = target.is_service().then(|| view.service(&name)).flatten();
        let selector = service.map(|service| &service.spec.selector);
        selector.is_some_and(|selector| !selector.is_empty() && selects(selector, &instance.labels))
    };
    policy.spec.target_refs.is_empty() || policy.spec.target_refs.iter().any(behind)
}

/// One rule. A match that cannot be had counts as one that matches everything: a limit must not open. `None` when a
/// descriptor cannot be had, which the API's own checks exclude.
fn compile(rule: &RateLimitRule, policy: &Resource<Written>, view: &View<'_>) -> Option<RateLimit> {
    let matches: Vec<_> = rule
        .matches
        .iter()
        .map(|written| matches::request(written).unwrap_or_default())
        .collect();
    let everything = matches.contains(&RequestMatch::default());
    Some(RateLimit {
        origin: object_ref(&policy.meta, Kind::RateLimit, &policy.origin),
        ports: rule.ports.iter().map(|port| port.number()).collect(),
        matches: if everything { Vec::new() } else { matches },
        clients: rule
            .clients
            .iter()
            .map(|client| authorization::principal(client, view.settings))
            .collect(),
        except: Vec::new(),
        allowance: allowance(&rule.limit, &policy.meta.namespace, view)?,
    })
}

fn allowance(limit: &Limit, namespace: &Arc<str>, view: &View<'_>) -> Option<Allowance> {
    Some(match limit {
        Limit::Local(local) => Allowance::Local {
            requests: local.requests.max(1),
            per: local.unit.length(),
            burst: local.burst.max(1),
            by_identity: local.per == RateShare::Identity,
        },
        Limit::Global(global) => {
            let service = &global.service;
            let within = service
                .namespace
                .as_deref()
                .map_or_else(|| Arc::clone(namespace), Arc::from);
            let host = host::qualified(&(within, service.name.as_str().into()), view.settings);
            Allowance::Global(Box::new(GlobalLimit {
                service: format!("{host}:{}", service.port).into(),
                domain: global.domain.as_str().into(),
                entries: global.descriptors.iter().map(entry).collect::<Option<_>>()?,
                timeout: global.timeout,
                allow_on_failure: global.on_failure == OnFailure::Allow,
            }))
        }
    })
}

fn entry(written: &DescriptorEntry) -> Option<(Arc<str>, DescriptorValue)> {
    let value = match &written.source {
        DescriptorSource::Value(text) => DescriptorValue::Fixed(text.as_str().into()),
        DescriptorSource::Header(name) => {
            DescriptorValue::Header(HeaderName::from_bytes(name.as_bytes()).ok()?)
        }
        DescriptorSource::ClientIdentity => DescriptorValue::Principal,
        DescriptorSource::Path => DescriptorValue::Path,
        DescriptorSource::Method => DescriptorValue::Method,
    };
    Some((written.key.as_str().into(), value))
}
