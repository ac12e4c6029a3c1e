//! VirtualServices.

use std::sync::Arc;

use wattle_api::Resource;
use wattle_api::istio::{Destination, GatewayRef, HttpAction, HttpRule, VirtualService};
use wattle_model::Backend;

use super::super::Findings;
use super::{elsewhere, unreachable};
use crate::istio::policy::{self, Unresolved};
use crate::istio::{frontend, host, http, owner, routes};
use crate::view::View;

pub(in super::super) fn check(
    found: &Resource<VirtualService>,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    gateways(found, findings);
    hosts(found, view, findings);
    for (index, rule) in found.spec.http.iter().enumerate() {
        let field = format!("spec.http[{index}]");
        http_rule(found, rule, &field, view, findings);
    }
    unreachable::check(&found.spec.http, findings);
    let layer4 = found.spec.tls.iter().map(|rule| ("tls", &rule.route));
    let layer4 = layer4
        .enumerate()
        .chain(found.spec.tcp.iter().map(|rule| ("tcp", &rule.route)).enumerate());
    for (index, (list, route)) in layer4 {
        for (position, to) in route.iter().enumerate() {
            let field = format!("spec.{list}[{index}].route[{position}].destination");
            destination(found, &to.destination, &field, view, findings);
        }
    }
}

fn gateways(found: &Resource<VirtualService>, findings: &mut Findings<'_>) {
    let named = found
        .spec
        .gateways
        .iter()
        .find(|gateway| !matches!(gateway, GatewayRef::Mesh));
    if let Some(gateway) = named {
        let reason = format!("the gateway {gateway} is not there: gateways are not supported yet");
        findings.warn(
            "unsupported-field",
            "spec.gateways",
            reason,
            "add mesh to the gateways, or remove the field",
        );
    }
}

fn hosts(found: &Resource<VirtualService>, view: &View<'_>, findings: &mut Findings<'_>) {
    if !found.spec.is_for_mesh() {
        return;
    }
    let namespace = &found.meta.namespace;
    for (index, written) in found.spec.hosts.iter().enumerate() {
        let field = format!("spec.hosts[{index}]");
        let pattern = host::pattern(written, namespace, view.settings);
        let frontend = frontend::find(&pattern, namespace, view).filter(|_| !written.is_pattern());
        // Of a pattern it depends on the host; there only who may route all of them is older.
        let owner = frontend.as_ref().map_or(namespace, |frontend| &frontend.name.0);
        let others = view.virtual_services_of(&pattern);
        let older = others.into_iter().filter(|other| {
            routes::applies(other, namespace)
                && owner::may_route(&other.meta.namespace, owner, namespace, view)
        });
        let first = older.min_by_key(|other| routes::age(&other.meta));
        if let Some(first) =
            first.filter(|first| first.meta.name != found.meta.name || first.meta.namespace != *namespace)
        {
            let reason = format!(
                "VirtualService {}/{} is older and is for the same host, so that this one has no effect on it",
                first.meta.namespace, first.meta.name
            );
            findings.warn(
                "conflicting-hosts",
                &field,
                reason,
                "write one VirtualService for a host",
            );
        }
        elsewhere::routed(found, (written, &pattern), &field, view, findings);
        match frontend {
            None if written.is_pattern() => {}
            None => {
                let reason = format!("nothing has the host {pattern}");
                let hint = "name a Service or a host of a ServiceEntry";
                findings.warn("unknown-host", &field, reason, hint);
            }
            Some(frontend) if view.routes_of(&frontend.name).next().is_some() => {
                let reason = format!(
                    "it hides the HTTPRoutes of Service {}/{}",
                    frontend.name.0, frontend.name.1
                );
                findings.warn("hides-routes", &field, reason, "keep one of the two");
            }
            Some(_) => {}
        }
    }
}

fn http_rule(
    found: &Resource<VirtualService>,
    rule: &HttpRule,
    field: &str,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    for (position, matched) in rule.matches.iter().enumerate() {
        let at = format!("{field}.match[{position}]");
        if http::asks_for_claims(matched) {
            let reason = "claims of a token cannot be compared yet, so that it matches nothing".to_owned();
            findings.error("unsupported-field", &at, reason, "remove the match");
        }
        if matched.stat_prefix.is_some() {
            findings.ignored(
                &format!("{at}.statPrefix"),
                "statistics by route are not kept under a name of their own",
            );
        }
    }
    match &rule.action {
        HttpAction::Route(route) => {
            for (position, to) in route.iter().enumerate() {
                let at = format!("{field}.route[{position}].destination");
                destination(found, &to.destination, &at, view, findings);
            }
        }
        HttpAction::Delegate(delegate) => {
            let namespace = delegate
                .namespace
                .as_deref()
                .map_or_else(|| Arc::clone(&found.meta.namespace), Arc::from);
            let name = (namespace, delegate.name.as_str().into());
            if view.delegate(&name).is_none_or(|other| !other.spec.is_delegate()) {
                let reason = format!("there is no VirtualService {}/{} without hosts", name.0, name.1);
                let hint = "create it, or remove its hosts";
                findings.error("unknown-delegate", &format!("{field}.delegate"), reason, hint);
            }
        }
        HttpAction::Redirect(_) | HttpAction::DirectResponse(_) => {}
    }
    for (position, mirror) in rule.mirrors.iter().enumerate() {
        let at = format!("{field}.mirrors[{position}].destination");
        destination(found, &mirror.destination, &at, view, findings);
    }
    retries(found, rule, field, view, findings);
}

fn retries(
    found: &Resource<VirtualService>,
    rule: &HttpRule,
    field: &str,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    let Some(retries) = &rule.retries else { return };
    if http::repeats_acted_on(retries) && !view.has_istio_defaults(&found.meta.namespace) {
        let reason = "requests that are not idempotent (POST, PATCH) are not repeated once a backend may have acted on \
                      them; Istio repeats them";
        findings.info(
            "retries-of-unsafe-requests",
            &format!("{field}.retries.retryOn"),
            reason.to_owned(),
        );
    }
    if let Some(condition) = http::without_counterpart(retries) {
        let what = format!("the condition {} is never met", condition.as_str());
        findings.ignored(&format!("{field}.retries.retryOn"), &what);
    }
    if retries.retry_remote_localities.is_some() {
        findings.ignored(
            &format!("{field}.retries.retryRemoteLocalities"),
            "a retry goes to another endpoint wherever it is",
        );
    }
}

/// Reports a destination that cannot be followed; its share is refused.
fn destination(
    found: &Resource<VirtualService>,
    written: &Destination,
    field: &str,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    let namespace = &found.meta.namespace;
    let host = host::qualified(&written.host, namespace, view.settings);
    // Which port was dialled is not known; any will do to see the rest.
    let ports = frontend::find(&host, namespace, view).map(|frontend| frontend.ports());
    let dialled = ports.and_then(|ports| ports.first().copied()).unwrap_or(0);
    let fault = match policy::resolve(written, namespace, namespace, dialled, view) {
        Ok(found) => return some_callers(&found, (&host, field), findings),
        Err(fault) => fault,
    };
    match fault {
        Unresolved::Host => {
            let reason = format!(
                "nothing has the host {host}, or it is not exported to {namespace}; its share is refused"
            );
            let hint = "name a Service or a host of a ServiceEntry";
            findings.error("unknown-host", &format!("{field}.host"), reason, hint);
        }
        Unresolved::Port => {
            let reason = format!("{host} has no such port; its share is refused");
            findings.error(
                "unknown-port",
                &format!("{field}.port.number"),
                reason,
                "name a port that it has",
            );
        }
        Unresolved::Subset => {
            let subset = written.subset.as_deref().unwrap_or_default();
            let reason =
                format!("no DestinationRule of {host} names the subset {subset}; its share is refused");
            let hint = "add the subset to the host's DestinationRule";
            findings.error("unknown-subset", &format!("{field}.subset"), reason, hint);
        }
        Unresolved::Tls => {
            let reason = format!("a BackendTLSPolicy of {host} cannot be followed; its share is refused");
            let hint = "mend the BackendTLSPolicy, or state tls in the host's DestinationRule";
            findings.error("backend-tls", &format!("{field}.host"), reason, hint);
        }
    }
}

/// Reports a subset that only callers have whom a DestinationRule selects, or all but those.
fn some_callers(found: &Backend, (host, field): (&str, &str), findings: &mut Findings<'_>) {
    if !found.callers.iter().any(|caller| caller.seen.is_none()) {
        return;
    }
    let reason = format!(
        "to some callers of the namespace the DestinationRules of {host} say nothing by which this can be followed; \
         its share of their traffic is refused"
    );
    let hint = "let a DestinationRule without workloadSelector say it too";
    findings.warn("unknown-subset", field, reason, hint);
}
