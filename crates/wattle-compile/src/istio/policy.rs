//! DestinationRules: which one applies to a host, its subsets, and its traffic policy as the model's.

pub(crate) use bounds::limits;

pub(crate) mod applying;
mod balance;
mod bounds;
mod tls;

use std::sync::Arc;

use wattle_api::Kind;
use wattle_api::istio::{Destination, Settings, Subset, TrafficPolicy};
use wattle_model::traffic::UpstreamTls;
use wattle_model::{Backend, BackendPolicy, CallerBackend, SeenBackend};

use applying::{Rule, deciding};

use super::frontend::{self, Frontend, FrontendPort};
use super::http::caller_labels;
use super::{host, subset};
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
    let part = Part {
        frontend: &frontend,
        port,
        subset: written.subset.as_deref(),
        needs_tls: frontend.lacks_tls(port.number, view),
    };
    part.backend(from, view)
}

/// A port of a frontend as a backend.
pub(crate) fn backend(
    frontend: &Frontend<'_>,
    port: FrontendPort,
    from: &Arc<str>,
    view: &View<'_>,
) -> Result<Backend, Unresolved> {
    let part = Part {
        frontend,
        port,
        subset: None,
        needs_tls: false,
    };
    part.backend(from, view)
}

/// A port of a frontend, or a subset of it.
struct Part<'c, 'a> {
    frontend: &'c Frontend<'a>,
    port: FrontendPort,
    subset: Option<&'c str>,
    /// Nothing is sent there unless a DestinationRule says by which TLS.
    needs_tls: bool,
}

impl Part<'_, '_> {
    /// As a backend: what it is to callers that no rule selects, and what to the others.
    fn backend(&self, from: &Arc<str>, view: &View<'_>) -> Result<Backend, Unresolved> {
        let frontend = self.frontend;
        let applying = applying::of_host(&frontend.host, &frontend.name.0, from, view);
        let others = self.seen(&applying.others, view);
        let selected = applying.selected.iter();
        let mut callers: Vec<_> = selected
            .map(|selected| CallerBackend {
                labels: caller_labels(selected.labels),
                seen: self.seen(&selected.rules, view).ok(),
            })
            .collect();
        // What is the same to all that are left needs no mention.
        while callers
            .last()
            .is_some_and(|last| last.seen.as_ref() == others.as_ref().ok())
        {
            callers.pop();
        }
        let SeenBackend { id, policy } = match others {
            Ok(seen) => seen,
            Err(fault) => {
                let seen = callers.iter().find_map(|caller| caller.seen.clone());
                callers.push(CallerBackend {
                    labels: Vec::new(),
                    seen: None,
                });
                seen.ok_or(fault)?
            }
        };
        Ok(Backend {
            id,
            service: Some(frontend.service_port(self.port.number)),
            subset: self.subset.unwrap_or("").into(),
            protocol: self.port.protocol,
            policy,
            verifies_host: false,
            by_name: frontend.by_name(self.port.number),
            callers,
        })
    }

    /// What it is to callers that follow these rules.
    fn seen(&self, rules: &[&Rule], view: &View<'_>) -> Result<SeenBackend, Unresolved> {
        let subset = match self.subset {
            None => None,
            Some(name) => Some(find_subset(rules, name).ok_or(Unresolved::Subset)?),
        };
        let whole = self.frontend.id(self.port.number);
        let policy = if rules.is_empty() {
            BackendPolicy::none()
        } else {
            let mut policy = compiled(rules, subset, self.port.number, view);
            tls::expect(&mut policy.tls, self.frontend.subject_alt_names(self.port.number));
            Arc::new(policy)
        };
        if self.needs_tls && policy.tls == UpstreamTls::default() {
            return Err(Unresolved::Tls);
        }
        Ok(SeenBackend {
            id: subset.map_or_else(|| whole.clone(), |(_, subset)| subset::id(&whole, &subset.labels)),
            policy,
        })
    }
}

/// The first subset of this name, and whose it is.
fn find_subset<'a>(rules: &[&'a Rule], name: &str) -> Option<(&'a Rule, &'a Subset)> {
    let named = |rule: &&'a Rule| {
        let mut subsets = rule.spec.subsets.iter();
        Some((*rule, subsets.find(|subset| subset.name == name)?))
    };
    rules.iter().find_map(named)
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
