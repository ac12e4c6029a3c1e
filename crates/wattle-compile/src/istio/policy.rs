//! DestinationRules: which one applies to a host, its subsets, and its traffic policy as the model's.

pub(crate) use bounds::limits;

mod balance;
mod bounds;
mod tls;

use std::sync::Arc;

use wattle_api::istio::{Destination, DestinationRule, Settings, Subset, TrafficPolicy};
use wattle_api::{Kind, Resource};
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
    backend(&frontend, port, written.subset.as_deref(), from, view)
}

/// A port of a frontend, or a subset of it, as a backend.
pub(crate) fn backend(
    frontend: &Frontend<'_>,
    port: FrontendPort,
    named: Option<&str>,
    from: &Arc<str>,
    view: &View<'_>,
) -> Result<Backend, Unresolved> {
    let rule = of_host(&frontend.host, &frontend.name.0, from, view);
    let subset = match named {
        None => None,
        Some(name) => {
            let subsets = rule.map(|rule| rule.spec.subsets.as_slice()).unwrap_or_default();
            Some(
                subsets
                    .iter()
                    .find(|subset| subset.name == name)
                    .ok_or(Unresolved::Subset)?,
            )
        }
    };
    let whole = frontend.id(port.number);
    Ok(Backend {
        id: subset.map_or_else(|| whole.clone(), |subset| subset::id(&whole, &subset.labels)),
        service: Some(frontend.service_port(port.number)),
        subset: named.unwrap_or("").into(),
        protocol: port.protocol,
        policy: rule.map_or_else(BackendPolicy::none, |rule| {
            Arc::new(compiled(rule, subset, port.number, view))
        }),
    })
}

/// The DestinationRule of `host`, whose service is in namespace `home`, for callers in `from`: of the caller's namespace,
/// else the service's, else the root namespace; there of the narrowest pattern the oldest.
pub(crate) fn of_host<'a>(
    host: &str,
    home: &Arc<str>,
    from: &Arc<str>,
    view: &View<'a>,
) -> Option<&'a Arc<Resource<DestinationRule>>> {
    let root = &view.settings.root_namespace;
    let rules: Vec<_> = host::covering(host)
        .map(|pattern| view.destination_rules_of(&pattern))
        .collect();
    let in_namespace = |namespace: &Arc<str>| {
        rules.iter().find_map(|there| {
            let applying = there
                .iter()
                .copied()
                .filter(|rule| rule.meta.namespace == *namespace && applies(rule, from));
            applying.min_by_key(|rule| routes::age(&rule.meta))
        })
    };
    [from, home, root].into_iter().find_map(in_namespace)
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
fn compiled(
    rule: &Resource<DestinationRule>,
    subset: Option<&Subset>,
    port: u16,
    view: &View<'_>,
) -> BackendPolicy {
    let own = rule.spec.traffic_policy.as_deref();
    let narrow = subset.and_then(|subset| subset.traffic_policy.as_ref());
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
        origins: vec![object_ref(&rule.meta, Kind::DestinationRule, &rule.origin)],
        balance: balance::balance(balancer),
        warmup: balancer
            .and_then(|balancer| balancer.warmup.as_ref())
            .map(balance::warmup),
        locality: balance::locality(balancer, outliers.is_some(), view.settings),
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
