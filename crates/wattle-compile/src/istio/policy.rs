//! DestinationRules: which one applies to a host, its subsets, and its traffic policy as the model's.

pub(crate) use bounds::limits;

mod balance;
mod bounds;
mod tls;

use std::sync::Arc;

use wattle_api::istio::{Destination, DestinationRule, Settings, Subset, TrafficPolicy};
use wattle_api::{Kind, Resource};
use wattle_model::traffic::UpstreamTls;
use wattle_model::{Backend, BackendPolicy};

use super::frontend::{self, Frontend, FrontendPort};
use super::{host, routes, subset};
use crate::route::object_ref;
use crate::view::View;

/// Why a destination cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// No Service and no ServiceEntry has the host, or none that the caller may see.
    Host,
    /// It has no such port, or several and none is named.
    Port,
    /// No DestinationRule of the host names the subset.
    Subset,
    /// A BackendTLSPolicy asks for TLS that cannot be had.
    Tls,
}

/// The backend that `written`, in an object of `namespace`, names for callers in `from` that dialled `dialled`.
pub(crate) fn resolve(
    written: &Destination,
    namespace: &Arc<str>,
    from: &Arc<str>,
    dialled: u16,
    view: &View<'_>,
) -> Result<Backend, Unresolved> {
    let host = host::qualified(&written.host, namespace, view.settings);
    let frontend = frontend::find(&host, from, view).ok_or(Unresolved::Host)?;
    let port = match written.port {
        Some(port) => frontend.port(port.number()),
        None => frontend.only_port().or_else(|| frontend.port(dialled)),
    };
    let port = port.ok_or(Unresolved::Port)?;
    let found = backend(&frontend, port, written.subset.as_deref(), from, view)?;
    if found.policy.tls == UpstreamTls::default() && frontend.lacks_tls(port.number, view) {
        return Err(Unresolved::Tls);
    }
    Ok(found)
}

/// A port of a frontend, or a subset of it, as a backend.
pub(crate) fn backend(
    frontend: &Frontend<'_>,
    port: FrontendPort,
    named: Option<&str>,
    from: &Arc<str>,
    view: &View<'_>,
) -> Result<Backend, Unresolved> {
    let rules = of_host(&frontend.host, &frontend.name.0, from, view);
    let subset = match named {
        None => None,
        Some(name) => Some(find_subset(&rules, name).ok_or(Unresolved::Subset)?),
    };
    let whole = frontend.id(port.number);
    Ok(Backend {
        id: subset.map_or_else(|| whole.clone(), |(_, subset)| subset::id(&whole, &subset.labels)),
        service: Some(frontend.service_port(port.number)),
        subset: named.unwrap_or("").into(),
        protocol: port.protocol,
        policy: if rules.is_empty() {
            BackendPolicy::none()
        } else {
            let mut policy = compiled(&rules, subset, port.number, view);
            tls::expect(&mut policy.tls, frontend.subject_alt_names());
            Arc::new(policy)
        },
        verifies_host: false,
    })
}

type Rule = Arc<Resource<DestinationRule>>;

/// The first subset of this name, and whose it is.
fn find_subset<'a>(rules: &[&'a Rule], name: &str) -> Option<(&'a Rule, &'a Subset)> {
    let named = |rule: &&'a Rule| {
        let mut subsets = rule.spec.subsets.iter();
        Some((*rule, subsets.find(|subset| subset.name == name)?))
    };
    rules.iter().find_map(named)
}

/// The DestinationRules of `host`, whose service is in namespace `home`, for callers in `from`: of the caller's
/// namespace, else the service's, else the root namespace; there those of the narrowest pattern, the oldest first. They
/// add up: subsets by name, and the policy of the first that has one.
pub(crate) fn of_host<'a>(host: &str, home: &Arc<str>, from: &Arc<str>, view: &View<'a>) -> Vec<&'a Rule> {
    let root = &view.settings.root_namespace;
    let rules: Vec<_> = host::covering(host)
        .map(|pattern| view.destination_rules_of(&pattern))
        .collect();
    let in_namespace = |namespace: &Arc<str>| {
        let applying = rules.iter().map(|there| {
            let mut applying: Vec<_> = there
                .iter()
                .copied()
                .filter(|rule| rule.meta.namespace == *namespace && applies(rule, from))
                .collect();
            applying.sort_by_key(|rule| routes::age(&rule.meta));
            applying
        });
        applying.into_iter().find(|there| !there.is_empty())
    };
    let found = [from, home, root].into_iter().find_map(in_namespace);
    found.unwrap_or_default()
}

/// The rule whose policy is that of the whole host.
pub(crate) fn deciding<'a>(rules: &[&'a Rule]) -> Option<&'a Rule> {
    let mut rules = rules.iter().copied();
    rules.find(|rule| rule.spec.traffic_policy.is_some())
}

/// Is it for callers in `from`? One that selects workloads is for none: proxies of a namespace share what they know.
pub(crate) fn applies(rule: &Resource<DestinationRule>, from: &str) -> bool {
    let exported = rule
        .spec
        .export_to
        .reaches(&rule.meta.namespace, from)
        .unwrap_or(true);
    exported && rule.spec.workload_selector.is_none()
}

/// The policy of a port, of the whole or of a subset: what the subset writes replaces field by field.
fn compiled(rules: &[&Rule], subset: Option<(&Rule, &Subset)>, port: u16, view: &View<'_>) -> BackendPolicy {
    let deciding = deciding(rules);
    let mut origins: Vec<_> = subset.map(|(rule, _)| rule).into_iter().chain(deciding).collect();
    origins.dedup_by_key(|rule| rule.meta.name.clone());
    if origins.is_empty() {
        origins.extend(rules.first());
    }
    let own = deciding.and_then(|rule| rule.spec.traffic_policy.as_deref());
    let narrow = subset.and_then(|(_, subset)| subset.traffic_policy.as_ref());
    let settings = overlaid(
        own.map(|policy| at_port(policy, port)),
        narrow.map(|policy| at_port(policy, port)),
    );
    let policies = || narrow.into_iter().chain(own);
    let http = settings
        .connection_pool
        .as_ref()
        .and_then(|pool| pool.http.as_ref());
    let outliers = settings.outlier_detection.as_ref();
    let balancer = settings.load_balancer.as_ref();
    BackendPolicy {
        origins: origins
            .into_iter()
            .map(|rule| object_ref(&rule.meta, Kind::DestinationRule, &rule.origin))
            .collect(),
        balance: balance::balance(balancer),
        warmup: balancer
            .and_then(|balancer| balancer.warmup.as_ref())
            .map(balance::warmup),
        locality: balance::locality(
            balancer,
            outliers.is_some(),
            deciding.is_some_and(|rule| view.has_istio_defaults(&rule.meta.namespace)),
        ),
        limits: settings
            .connection_pool
            .as_ref()
            .map(bounds::limits)
            .unwrap_or_default(),
        outliers: outliers.map(bounds::outliers),
        retry_budget: policies()
            .find_map(|policy| policy.retry_budget.as_ref())
            .map(bounds::budget),
        tls: settings.tls.as_ref().map(tls::tls).unwrap_or_default(),
        proxy_protocol: policies()
            .find_map(|policy| policy.proxy_protocol)
            .map(tls::proxy_protocol),
        tunnel: policies()
            .find_map(|policy| policy.tunnel.as_ref())
            .map(tls::tunnel),
        health_check: None,
        http_version: http.map(bounds::http_version).unwrap_or_default(),
    }
}

/// What holds for a port: its own settings instead of all others, where there are any.
fn at_port(policy: &TrafficPolicy, port: u16) -> &Settings {
    let own = policy
        .port_level_settings
        .iter()
        .find(|own| own.port.number() == port);
    own.map_or(&policy.settings, |own| &own.settings)
}

fn overlaid(whole: Option<&Settings>, narrow: Option<&Settings>) -> Settings {
    let whole = whole.cloned().unwrap_or_default();
    let Some(narrow) = narrow.cloned() else {
        return whole;
    };
    Settings {
        load_balancer: narrow.load_balancer.or(whole.load_balancer),
        connection_pool: narrow.connection_pool.or(whole.connection_pool),
        outlier_detection: narrow.outlier_detection.or(whole.outlier_detection),
        tls: narrow.tls.or(whole.tls),
    }
}
