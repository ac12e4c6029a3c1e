//! What lies outside the mesh: whether callers may reach it, and how. Our EgressPolicy and Linkerd's EgressNetwork.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use wattle_api::{
    EgressMode, EgressPolicy, EgressProtocol, EgressRule, Kind, Object, Resource, TlsOrigination,
};
use wattle_model::traffic::{Roots, SubjectName, TlsFiles, UpstreamTls};
use wattle_model::{
    Access, Action, Backend, BackendPolicy, CallerLabel, CallerScope, ConnectionMatch, ConnectionRoute,
    Destination, HostMatch, Reason, RequestMatch, RouteRule, RouteTable, RuleRef, WeightedBackend,
};

use crate::Read;
use crate::any_route::older;
use crate::istio::entry::{self, Open};
use crate::istio::scope::{self, Dialled};
use crate::route::{catch_all, object_ref, unread};
use crate::view::View;

pub(crate) mod names;
mod network;

pub(crate) use network::blocks;

/// Something that is neither a Service nor a workload.
#[derive(Clone, Copy)]
pub(crate) struct Outside<'c> {
    /// The name asked for.
    pub(crate) name: &'c Arc<str>,
    /// The host that was named; `None` for an address.
    pub(crate) host: Option<&'c str>,
    /// The address that was named.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
}

/// What `outside` is for callers in `from`: carried as dialled, unless a policy says otherwise.
///
/// Of several policies the first that selects a caller counts alone: one with a selector before one without, then the
/// older; then what a Sidecar says of unknown destinations. A policy that cannot be read refuses everything outside.
pub(crate) fn destination(outside: Outside<'_>, from: &Arc<str>, view: &View<'_>) -> Destination {
    let open = entry::open(outside.port, from, view);
    let policies = policies(from, view);
    let mut found = Table::default();
    found.backends.extend(open.backends.iter().cloned());
    found.scopes.extend(network::scope(outside, from, view));
    found.scopes.extend(unread_policy(from, view));
    for policy in &policies {
        found.add(policy, outside, &open);
    }
    let last = policies.last().filter(|policy| policy.spec.selector.is_some());
    if let (false, Some(policy)) = (found.rules.is_empty(), last) {
        // Callers that no policy selects.
        found.tail(policy, &[], Some(0));
    }
    found.scopes.extend(scope::scopes(Dialled::Unknown, from, view));
    let mut destination = Destination {
        name: Arc::clone(outside.name),
        scopes: found.scopes,
        routes: RouteTable::new(found.rules),
        connections: found.connections,
        backends: found.backends,
        default_backend: Some(0),
        ..Destination::default()
    };
    if policies.is_empty() {
        entry::follow(open, &mut destination);
    }
    destination
}

/// Ports on which policies let callers in `from` reach some hosts.
pub(crate) fn ports(from: &Arc<str>, view: &View<'_>) -> BTreeSet<u16> {
    let allowed = policies(from, view)
        .into_iter()
        .flat_map(|policy| &policy.spec.allow);
    let ports = allowed.flat_map(|rule| &rule.ports);
    ports.map(|port| port.port.number()).collect()
}

/// Who may call a workload of the mesh at its own address, which no headless Service gives: whoever is not kept to what
/// is registered. To EgressNetworks it lies inside.
pub(crate) fn past_services(from: &Arc<str>, view: &View<'_>) -> Vec<CallerScope> {
    let own = policies(from, view).into_iter().map(|policy| CallerScope {
        labels: labels(policy),
        origin: object_ref(&policy.meta, Kind::EgressPolicy, &policy.origin),
        access: match policy.spec.mode {
            Some(EgressMode::RegistryOnly) => Access::Refused(Reason::UnknownDestination),
            Some(EgressMode::AllowAny) | None => Access::Full,
        },
    });
    let own = unread_policy(from, view).into_iter().chain(own);
    own.chain(scope::known(Dialled::Unknown, from, view)).collect()
}

/// Refuses everything outside where there is a policy that cannot be read.
fn unread_policy(from: &Arc<str>, view: &View<'_>) -> Option<CallerScope> {
    let key = view.unreadable(Kind::EgressPolicy, from)?;
    Some(CallerScope {
        labels: Vec::new(),
        origin: unread(key),
        access: Access::Refused(Reason::UnknownDestination),
    })
}

type Policy = Resource<EgressPolicy>;

/// The policies of a namespace, the one that counts first first.
pub(crate) fn policies<'a>(namespace: &Arc<str>, view: &View<'a>) -> Vec<&'a Policy> {
    let found = view.found(Read::EgressPolicies(Arc::clone(namespace)));
    let mut policies: Vec<_> = found
        .filter_map(|object| match object {
            Object::EgressPolicy(policy) => Some(policy),
            _ => None,
        })
        .collect();
    policies.sort_by(|a, b| {
        let wide = |policy: &Policy| policy.spec.selector.is_none();
        wide(a).cmp(&wide(b)).then_with(|| older(&a.meta, &b.meta))
    });
    policies
}

struct Table {
    scopes: Vec<CallerScope>,
    rules: Vec<RouteRule>,
    connections: Vec<ConnectionRoute>,
    /// The first is the original destination.
    backends: Vec<Backend>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            scopes: Vec::new(),
            rules: Vec::new(),
            connections: Vec::new(),
            backends: vec![Backend::default()],
        }
    }
}

impl Table {
    fn add(&mut self, policy: &Policy, outside: Outside<'_>, open: &Open) {
        let labels = labels(policy);
        let before = self.rules.len() + self.connections.len();
        for (index, rule) in policy.spec.allow.iter().enumerate() {
            self.allow(policy, index, rule, outside);
        }
        self.keep_open(open, &labels);
        let open = policy.spec.mode != Some(EgressMode::RegistryOnly);
        let access = match (self.rules.len() + self.connections.len() > before, open) {
            (true, _) => Access::Full,
            (false, true) => Access::PassThrough,
            (false, false) => Access::Refused(Reason::UnknownDestination),
        };
        if access == Access::Full {
            self.tail(policy, &labels, open.then_some(0));
        }
        self.scopes.push(CallerScope {
            labels,
            origin: object_ref(&policy.meta, Kind::EgressPolicy, &policy.origin),
            access,
        });
    }

    /// What is in the registry for any address is never refused with the rest.
    fn keep_open(&mut self, open: &Open, labels: &[CallerLabel]) {
        let rules = open.rules.iter().cloned();
        self.rules.extend(rules.map(|mut rule| {
            rule.matches.caller_labels.extend_from_slice(labels);
            rule
        }));
        let connections = open.connections.iter().cloned();
        self.connections.extend(connections.map(|mut route| {
            route.matches.caller_labels.extend_from_slice(labels);
            route
        }));
    }

    /// What a rule allows on the dialled port.
    fn allow(&mut self, policy: &Policy, index: usize, rule: &EgressRule, outside: Outside<'_>) {
        let hosts: Vec<_> = rule.hosts.iter().map(|host| HostMatch::parse(host)).collect();
        let named = outside
            .host
            .is_some_and(|host| hosts.iter().any(|known| known.matches(host)));
        let ports = rule.ports.iter();
        for port in ports.filter(|port| port.port.number() == outside.port) {
            let origin = origin(policy, index);
            let labels = labels(policy);
            // Where everything else is let out too there is nothing to verify.
            let verifies = policy.spec.mode == Some(EgressMode::RegistryOnly);
            match port.protocol {
                EgressProtocol::Http | EgressProtocol::Grpc => {
                    let backend = self.backend(policy, rule.tls_origination.as_ref(), verifies);
                    let mut allowed = catch_all(origin, forward(Some(backend), &outside));
                    allowed.matches = RequestMatch {
                        hosts: hosts.clone(),
                        caller_labels: labels,
                        ..RequestMatch::default()
                    };
                    self.rules.push(allowed);
                }
                EgressProtocol::Https | EgressProtocol::Tls => {
                    let backend = self.backend(policy, None, verifies);
                    self.connections
                        .push(connection(origin, hosts.clone(), labels, Some(backend)));
                }
                // Which host an address belongs to, nobody here knows.
                EgressProtocol::Tcp if named => {
                    let backend = self.backend(policy, rule.tls_origination.as_ref(), false);
                    self.connections
                        .push(connection(origin, Vec::new(), labels, Some(backend)));
                }
                EgressProtocol::Tcp => {}
            }
        }
    }

    /// What becomes of all else of the callers with these labels; `None` refuses it.
    fn tail(&mut self, policy: &Policy, labels: &[CallerLabel], backend: Option<u32>) {
        let origin = origin(policy, policy.spec.allow.len());
        let action = match backend {
            Some(backend) => forwarding(backend, "as dialled"),
            None => Action::Refuse(Reason::UnknownDestination),
        };
        let mut rest = catch_all(origin.clone(), action);
        rest.matches.caller_labels = labels.to_vec();
        self.rules.push(rest);
        self.connections
            .push(connection(origin, Vec::new(), labels.to_vec(), backend));
    }

    /// The backend of a rule: the original destination, over TLS where the rule asks for it.
    fn backend(&mut self, policy: &Policy, tls: Option<&TlsOrigination>, verifies_host: bool) -> u32 {
        if tls.is_none() && !verifies_host {
            return 0;
        }
        let made = BackendPolicy {
            origins: vec![object_ref(&policy.meta, Kind::EgressPolicy, &policy.origin)],
            tls: tls.map(originating).unwrap_or_default(),
            ..BackendPolicy::default()
        };
        self.backends.push(Backend {
            policy: Arc::new(made),
            verifies_host,
            ..Backend::default()
        });
        u32::try_from(self.backends.len() - 1).unwrap_or(u32::MAX)
    }
}

fn originating(written: &TlsOrigination) -> UpstreamTls {
    let name = |name: &String| SubjectName::Dns(name.as_str().into());
    UpstreamTls::Origination {
        sni: written.sni.as_deref().map(Into::into),
        names: written.subject_alt_names.iter().map(name).collect(),
        files: TlsFiles {
            roots: written
                .ca_certificates
                .as_deref()
                .map_or(Roots::System, |path| Roots::File(path.into())),
            ..TlsFiles::default()
        },
        unverified: false,
    }
}

fn labels(policy: &Policy) -> Vec<CallerLabel> {
    let selector = policy.spec.selector.iter();
    let pairs = selector.flat_map(|selector| &selector.match_labels);
    pairs
        .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
        .collect()
}

fn origin(policy: &Policy, rule: usize) -> RuleRef {
    RuleRef {
        object: object_ref(&policy.meta, Kind::EgressPolicy, &policy.origin),
        rule: u32::try_from(rule).unwrap_or(u32::MAX),
        matched: 0,
        name: "".into(),
    }
}

fn forward(backend: Option<u32>, outside: &Outside<'_>) -> Action {
    forwarding(backend.unwrap_or(0), outside.name)
}

fn forwarding(backend: u32, written: &str) -> Action {
    Action::Forward(vec![part(backend, written)])
}

fn part(backend: u32, written: &str) -> WeightedBackend {
    WeightedBackend {
        backend: Some(backend),
        written: written.into(),
        weight: 1,
        filters: None,
    }
}

fn connection(
    origin: RuleRef,
    server_names: Vec<HostMatch>,
    caller_labels: Vec<CallerLabel>,
    backend: Option<u32>,
) -> ConnectionRoute {
    ConnectionRoute {
        origin,
        matches: ConnectionMatch {
            server_names,
            caller_labels,
            ..ConnectionMatch::default()
        },
        backends: backend
            .map(|backend| part(backend, "as dialled"))
            .into_iter()
            .collect(),
    }
}
