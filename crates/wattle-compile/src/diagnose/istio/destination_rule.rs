//! DestinationRules.

use std::sync::Arc;

use wattle_api::Resource;
use wattle_api::istio::{
    Algorithm, ConnectionPool, DestinationRule, HashKey, Settings, Subset, TrafficPolicy,
};

use super::super::Findings;
use crate::istio::policy::applying::selector;
use crate::istio::{frontend, host, routes, subset};
use crate::view::View;
use crate::{backend, endpoints};

pub(in super::super) fn check(
    rule: &Resource<DestinationRule>,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    let namespace = &rule.meta.namespace;
    let pattern = host::pattern(&rule.spec.host, namespace, view.settings);
    overlapping(rule, &pattern, view, findings);
    failover_not_implied(rule, view, findings);
    if !rule.spec.host.is_pattern() {
        match frontend::find(&pattern, namespace, view) {
            None => {
                let reason = format!("nothing has the host {pattern}");
                let hint = "name a Service or a host of a ServiceEntry";
                findings.warn("unknown-host", "spec.host", reason, hint);
            }
            Some(found) => subsets(rule, &found.name, view, findings),
        }
    }
    selecting(rule, view, findings);
    if let Some(policy) = rule.spec.traffic_policy.as_deref() {
        traffic_policy(policy, "spec.trafficPolicy", findings);
    }
    for (index, subset) in rule.spec.subsets.iter().enumerate() {
        if let Some(policy) = &subset.traffic_policy {
            traffic_policy(policy, &format!("spec.subsets[{index}].trafficPolicy"), findings);
        }
    }
    alike(&rule.spec.subsets, findings);
}

/// A rule for some of the callers needs some: they are workloads of its own namespace.
fn selecting(rule: &Resource<DestinationRule>, view: &View<'_>, findings: &mut Findings<'_>) {
    let Some(selector) = &rule.spec.workload_selector else {
        return;
    };
    let namespace = &rule.meta.namespace;
    let mut workloads = view.workloads_in(namespace);
    if !workloads.any(|instance| selector.selects(&instance.labels)) {
        let reason =
            format!("no workload of namespace {namespace} has these labels, so that it is for no caller");
        let hint = "compare them with the labels of the workloads that call";
        findings.warn("selects-nothing", "spec.workloadSelector", reason, hint);
    }
}

/// Subsets with the same labels are the same endpoints, which have one policy.
fn alike(subsets: &[Subset], findings: &mut Findings<'_>) {
    for (index, subset) in subsets.iter().enumerate() {
        let differs =
            |other: &&Subset| other.labels == subset.labels && other.traffic_policy != subset.traffic_policy;
        if let Some(first) = subsets[..index].iter().find(differs) {
            let reason = format!(
                "subset {} has the same labels and another trafficPolicy; where one VirtualService names both, one of \
                 the policies has no effect",
                first.name
            );
            let hint = "give both the same trafficPolicy, or other labels";
            findings.warn(
                "conflicting-rules",
                &format!("spec.subsets[{index}].trafficPolicy"),
                reason,
                hint,
            );
        }
    }
}

fn subsets(
    rule: &Resource<DestinationRule>,
    name: &crate::Name,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    let Some(service) = view
        .service(name)
        .filter(|service| !service.spec.selector.is_empty())
    else {
        return;
    };
    let Some(port) = service.spec.ports.first() else {
        return;
    };
    for (index, subset) in rule.spec.subsets.iter().enumerate() {
        let id = subset::id(&backend::id(name, port.port.number()), &subset.labels);
        let none = endpoints::endpoints(&id, view).is_none_or(|found| found.endpoints.is_empty());
        let offline = view.selected(&name.0, &service.spec.selector);
        let would = offline
            .iter()
            .any(|instance| crate::view::selects(&subset.labels, &instance.labels));
        if none && !would {
            let reason = format!("no workload of the host has the labels of subset {}", subset.name);
            let hint = "compare them with the labels of your workloads";
            findings.warn(
                "selects-nothing",
                &format!("spec.subsets[{index}].labels"),
                reason,
                hint,
            );
        }
    }
}

/// Several rules of a namespace for one host and the same callers add up; what is written twice counts once.
fn overlapping(
    rule: &Resource<DestinationRule>,
    pattern: &Arc<str>,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    let namespace = &rule.meta.namespace;
    let age = routes::age(&rule.meta);
    let rules = view.destination_rules_of(pattern).into_iter();
    let older: Vec<_> = rules
        .filter(|other| other.meta.namespace == *namespace && routes::age(&other.meta) < age)
        .filter(|other| selector(other) == selector(rule))
        .collect();
    let hint = "write each of them once";
    let mut conflict = |field: &str, what: &str, first: &Resource<DestinationRule>| {
        let name = &first.meta.name;
        let reason = format!(
            "DestinationRule {namespace}/{name} is older, is for the same host and has {what}; this one has no effect"
        );
        findings.warn("conflicting-rules", field, reason, hint);
    };
    let mut deciding = older.iter().filter(|older| older.spec.traffic_policy.is_some());
    if let (Some(first), true) = (deciding.next(), rule.spec.traffic_policy.is_some()) {
        conflict("spec.trafficPolicy", "a trafficPolicy", first);
    }
    for (index, subset) in rule.spec.subsets.iter().enumerate() {
        let named = |older: &&&Arc<Resource<DestinationRule>>| {
            older.spec.subsets.iter().any(|other| other.name == subset.name)
        };
        if let Some(first) = older.iter().find(named) {
            let what = format!("a subset {}", subset.name);
            conflict(&format!("spec.subsets[{index}].name"), &what, first);
        }
    }
}

/// Istio prefers near endpoints once outlier detection is written; here that has to be asked for.
fn failover_not_implied(rule: &Resource<DestinationRule>, view: &View<'_>, findings: &mut Findings<'_>) {
    let settings = rule.spec.traffic_policy.as_deref().map(|policy| &policy.settings);
    let Some(settings) = settings.filter(|settings| settings.outlier_detection.is_some()) else {
        return;
    };
    let balancer = settings.load_balancer.as_ref();
    let locality = balancer.and_then(|balancer| balancer.locality_lb_setting.as_ref());
    if locality.is_none() && !view.has_istio_defaults(&rule.meta.namespace) {
        let reason = "endpoints of other localities are used as before; Istio prefers near ones once outlierDetection is \
                      written. Write loadBalancer.localityLbSetting to have it so";
        findings.info(
            "outlier-detection-without-failover",
            "spec.trafficPolicy.outlierDetection",
            reason.to_owned(),
        );
    }
}

fn traffic_policy(policy: &TrafficPolicy, field: &str, findings: &mut Findings<'_>) {
    settings(&policy.settings, field, findings);
    for (index, port) in policy.port_level_settings.iter().enumerate() {
        settings(
            &port.settings,
            &format!("{field}.portLevelSettings[{index}]"),
            findings,
        );
    }
    if policy
        .retry_budget
        .as_ref()
        .is_some_and(|budget| budget.budget_interval.is_some())
    {
        let field = format!("{field}.retryBudget.budgetInterval");
        findings.ignored(&field, "the requests under way count, not those of an interval");
    }
}

/// What of a connection pool is not followed, wherever it is written.
pub(super) fn pool_settings(pool: &ConnectionPool, field: &str, findings: &mut Findings<'_>) {
    let http = pool.http.unwrap_or_default();
    if http.http2_keep_alive.is_some() {
        findings.ignored(
            &format!("{field}.http.http2KeepAlive"),
            "dead connections are found by TCP's keep-alive only",
        );
    }
    if http.use_client_protocol {
        let reason = "the field has no effect: the client's HTTP version is kept anyway";
        findings.info(
            "no-effect",
            &format!("{field}.http.useClientProtocol"),
            reason.to_owned(),
        );
    }
}

fn settings(settings: &Settings, field: &str, findings: &mut Findings<'_>) {
    if settings
        .tls
        .as_ref()
        .is_some_and(|tls| tls.credential_name.is_some())
    {
        let reason = "a Secret cannot be read here, so that no connection comes about".to_owned();
        let hint = "name files with clientCertificate, privateKey and caCertificates";
        findings.error(
            "unsupported-field",
            &format!("{field}.tls.credentialName"),
            reason,
            hint,
        );
    }
    if let Some(pool) = &settings.connection_pool {
        pool_settings(pool, &format!("{field}.connectionPool"), findings);
    }
    if let Some(outliers) = &settings.outlier_detection
        && !outliers.outlier_detection_http_error_codes.is_empty()
    {
        let field = format!("{field}.outlierDetection.outlierDetectionHttpErrorCodes");
        findings.ignored(&field, "failures are statuses from 500");
    }
    if let Some(Algorithm::ConsistentHash(hash)) = settings
        .load_balancer
        .as_ref()
        .and_then(|one| one.algorithm.as_ref())
        && let HashKey::HttpCookie(cookie) = &hash.key
        && !cookie.attributes.is_empty()
    {
        let field = format!("{field}.loadBalancer.consistentHash.httpCookie.attributes");
        findings.ignored(
            &field,
            "a cookie that is made up has the attributes Path, Max-Age and HttpOnly",
        );
    }
}
