//! ServiceProfiles: routes by method and expression, retries within a budget, traffic splits.

use std::sync::Arc;

use wattle_api::{
    Kind, Object, ProfileRetryBudget, ProfileRoute, RequestCondition, Resource, ResponseClass,
    ResponseCondition, ServiceProfile,
};
use wattle_model::traffic::RetryBudget;
use wattle_model::{
    Action, Filters, PathMatch, Pattern, RequestMatch, RetryConditions, RetryOn, RetryPolicy, RouteRule,
    RouteTable, RuleRef, TextMatch, Timeouts, WeightedBackend,
};

use crate::backend::{self, Backends};
use crate::backend_policy::{self, Tls};
use crate::port::SeenPort;
use crate::route::object_ref;
use crate::view::View;
use crate::{Name, Read, host};

/// Most alternatives of a condition.
const MAX_ALTERNATIVES: usize = 64;
/// Repetitions of one request; Linkerd has no bound but the budget.
const ATTEMPTS: u32 = 3;

type Profile = Resource<ServiceProfile>;

/// The profile of a Service that callers in `from` see: one of their own namespace, else of the Service's.
pub(crate) fn of<'a>(service: &Name, from: &str, view: &View<'a>) -> Option<&'a Profile> {
    let found: Vec<_> = view
        .found(Read::PoliciesOf(service.clone()))
        .filter_map(|object| match object {
            Object::ServiceProfile(profile) => Some(profile),
            _ => None,
        })
        .collect();
    let within = |namespace: &str| {
        found
            .iter()
            .copied()
            .find(|profile| *profile.meta.namespace == *namespace)
    };
    within(from).or_else(|| within(&service.0))
}

/// The rules of a profile; empty when it has neither routes nor a split. What none of its routes matches goes on.
pub(crate) fn table(profile: &Profile, seen: &SeenPort<'_, '_>, backends: &mut Backends) -> RouteTable {
    if profile.spec.routes.is_empty() && profile.spec.dst_overrides.is_empty() {
        return RouteTable::default();
    }
    let action = Arc::new(Action::Forward(split(profile, seen, backends)));
    let mut rules: Vec<RouteRule> = Vec::new();
    for (index, route) in profile.spec.routes.iter().enumerate() {
        let matches = alternatives(&route.condition).unwrap_or_default();
        for (position, matched) in matches.into_iter().enumerate() {
            rules.push(RouteRule {
                origin: origin(profile, index, position, &route.name),
                matches: matched,
                filters: Arc::<Filters>::default(),
                action: Arc::clone(&action),
                timeouts: timeouts(route),
                retry: retry(route).map(Arc::new),
                session: None,
            });
        }
    }
    let rest = origin(profile, profile.spec.routes.len(), 0, "");
    let mut rest = crate::route::catch_all(rest, Action::Forward(Vec::new()));
    rest.action = action;
    rules.push(rest);
    RouteTable::new(rules)
}

fn origin(profile: &Profile, rule: usize, matched: usize, name: &str) -> RuleRef {
    RuleRef {
        object: object_ref(&profile.meta, Kind::ServiceProfile, &profile.origin),
        rule: u32::try_from(rule).unwrap_or(u32::MAX),
        matched: u32::try_from(matched).unwrap_or(u32::MAX),
        name: name.into(),
    }
}

/// Where requests go: to the overrides by weight, else to the Service itself.
fn split(profile: &Profile, seen: &SeenPort<'_, '_>, backends: &mut Backends) -> Vec<WeightedBackend> {
    let (service, port, view) = (seen.name, seen.port.port.number(), seen.view);
    let mut part = |name: Option<Name>, number: u16, written: &str, weight: u32| {
        let found = name.and_then(|name| {
            let service = view.service(&name)?;
            let port = backend::port(&service.spec, number)?;
            if matches!(backend_policy::tls(&name, port, view), Tls::Broken) {
                return None;
            }
            Some(backends.index(&name, port, seen.from, view))
        });
        WeightedBackend {
            backend: found,
            written: written.into(),
            weight,
            filters: None,
        }
    };
    if profile.spec.dst_overrides.is_empty() {
        let written = format!("{}:{port}", service.1);
        return vec![part(Some(service.clone()), port, &written, 1)];
    }
    let overrides = profile.spec.dst_overrides.iter();
    overrides
        .map(|to| {
            let (host, number) = authority(&to.authority, port);
            let name = host::service(host, &profile.meta.namespace, view.settings);
            part(name, number, &to.authority, to.weight_thousandths)
        })
        .collect()
}

/// Host and port of an authority, the dialled port where it names none.
pub(crate) fn authority(text: &str, dialled: u16) -> (&str, u16) {
    match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().unwrap_or(dialled)),
        None => (text, dialled),
    }
}

fn timeouts(route: &ProfileRoute) -> Timeouts {
    Timeouts {
        request: route.timeout.filter(|limit| !limit.is_zero()),
        ..Timeouts::default()
    }
}

/// A route that its writer calls retryable may be sent again whatever its method is.
fn retry(route: &ProfileRoute) -> Option<RetryPolicy> {
    let on = RetryOn {
        conditions: RetryConditions {
            connect_failure: true,
            refused_stream: true,
            reset: true,
            reset_before_request: true,
            timeout: false,
        },
        statuses: failures(&route.response_classes),
        grpc: 0,
    };
    route.is_retryable.then(|| RetryPolicy {
        unsafe_methods: true,
        ..crate::route::retry::policy(ATTEMPTS, on, None)
    })
}

/// The budget of a profile; Linkerd's default where it says none.
pub(crate) fn budget(profile: &ServiceProfile) -> Option<RetryBudget> {
    let retried = profile.routes.iter().any(|route| route.is_retryable);
    let default = ProfileRetryBudget {
        retry_ratio_millionths: 200_000,
        min_retries_per_second: 10,
        ttl: std::time::Duration::from_secs(10),
    };
    let written = profile.retry_budget.or(retried.then_some(default))?;
    Some(RetryBudget::Rate {
        percent: (f64::from(written.retry_ratio_millionths) / 10_000.0).min(1000.0),
        minimum: written.min_retries_per_second,
        per: std::time::Duration::from_secs(1),
        window: written.ttl,
    })
}

/// The statuses that are failures, as ranges: each is judged by the first class that it belongs to, else 5xx are.
fn failures(classes: &[ResponseClass]) -> Vec<(u16, u16)> {
    let fails = |status: u16| {
        let class = classes.iter().find(|class| answers(&class.condition, status));
        class.map_or(status >= 500, |class| class.is_failure)
    };
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for status in (100..=599).filter(|status| fails(*status)) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == status => *last = status,
            _ => ranges.push((status, status)),
        }
    }
    ranges
}

fn answers(condition: &ResponseCondition, status: u16) -> bool {
    match condition {
        ResponseCondition::All(inner) => inner.iter().all(|inner| answers(inner, status)),
        ResponseCondition::Any(inner) => inner.iter().any(|inner| answers(inner, status)),
        ResponseCondition::Not(inner) => !answers(inner, status),
        ResponseCondition::Status { min, max } => (*min..=*max).contains(&status),
    }
}

/// The predicates one of which must hold; `None` when they cannot be said: `not`, two paths or methods at once, or too
/// many alternatives.
pub(crate) fn alternatives(condition: &RequestCondition) -> Option<Vec<RequestMatch>> {
    let found = match condition {
        RequestCondition::Method(method) => vec![RequestMatch {
            method: Some(TextMatch::Exact(method.as_str().into())),
            ..RequestMatch::default()
        }],
        RequestCondition::Path(pattern) => vec![RequestMatch {
            path: Some(PathMatch::Regex(Pattern::new(pattern.as_str()).ok()?)),
            ..RequestMatch::default()
        }],
        RequestCondition::Not(_) => return None,
        RequestCondition::Any(inner) => {
            let each: Option<Vec<_>> = inner.iter().map(alternatives).collect();
            each?.concat()
        }
        RequestCondition::All(inner) => inner
            .iter()
            .try_fold(vec![RequestMatch::default()], |left, inner| {
                both(&left, &alternatives(inner)?)
            })?,
    };
    (found.len() <= MAX_ALTERNATIVES).then_some(found)
}

fn both(left: &[RequestMatch], right: &[RequestMatch]) -> Option<Vec<RequestMatch>> {
    if left.len() * right.len() > MAX_ALTERNATIVES {
        return None;
    }
    let pairs = left
        .iter()
        .flat_map(|left| right.iter().map(move |right| (left, right)));
    let join = |(left, right): (&RequestMatch, &RequestMatch)| {
        let twice =
            left.path.is_some() && right.path.is_some() || left.method.is_some() && right.method.is_some();
        (!twice).then(|| RequestMatch {
            path: left.path.clone().or_else(|| right.path.clone()),
            method: left.method.clone().or_else(|| right.method.clone()),
            ..RequestMatch::default()
        })
    };
    pairs.map(join).collect()
}

/// Whether the profile makes a port opaque.
pub(crate) fn is_opaque(profile: Option<&Profile>, port: u16) -> bool {
    profile.is_some_and(|profile| {
        let mut ports = profile.spec.opaque_ports.iter();
        ports.any(|opaque| opaque.number() == port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_judged_by_the_first_class_it_belongs_to() {
        let class = |min, max, is_failure| ResponseClass {
            condition: ResponseCondition::Status { min, max },
            is_failure,
        };
        assert_eq!(failures(&[]), [(500, 599)]);
        assert_eq!(
            failures(&[class(501, 501, false), class(429, 429, true)]),
            [(429, 429), (500, 500), (502, 599)]
        );
        let none = ResponseCondition::Not(Box::new(ResponseCondition::Any(Vec::new())));
        let all = ResponseClass {
            condition: none,
            is_failure: false,
        };
        assert_eq!(failures(&[all]), []);
    }

    #[test]
    fn a_condition_becomes_alternatives_or_cannot_be_said() {
        let method = |text: &str| RequestCondition::Method(text.to_owned());
        let any = RequestCondition::Any(vec![method("GET"), method("HEAD")]);
        assert_eq!(alternatives(&any).map(|all| all.len()), Some(2));
        assert_eq!(
            alternatives(&RequestCondition::Not(Box::new(method("GET")))),
            None
        );
        assert_eq!(
            alternatives(&RequestCondition::All(vec![method("GET"), any])),
            None
        );
    }
}
