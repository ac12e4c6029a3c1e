//! Clients that an authorization of Linkerd's lets in, as one rule. What it asks for must all hold; what cannot be had of
//! it lets nobody in.

use std::sync::Arc;

use ipnet::IpNet;
use wattle_api::{
    AccessPolicy, AuthenticationKind, AuthenticationRef, IdentityKind, Kind, MeshTlsAuthentication,
    MeshTlsClients, Network, Object, Resource, ServerAuthorization, ServerClientKind, ServerPolicy,
};
use wattle_model::{Attribute, Condition, IpBlock, PolicyRule, Source, TextMatch};

use super::identity;
use crate::view::View;
use crate::{Read, Settings};

/// Most networks that several authentications have in common.
const MAX_NETWORKS: usize = 1024;

/// What must hold of a client.
#[derive(Default)]
struct Required {
    /// One of each of these.
    identities: Vec<Vec<TextMatch>>,
    /// In one of these; `None` is anywhere.
    networks: Option<Vec<Network>>,
    /// The first thing that cannot be had.
    lost: Option<Box<str>>,
}

/// Whom a policy lets in.
pub(crate) fn of_policy(policy: &Resource<ServerPolicy>, view: &View<'_>) -> PolicyRule {
    let mut required = Required::default();
    for written in &policy.spec.required_authentication_refs {
        required.authentication(written, &policy.meta.namespace, view);
    }
    required.rule()
}

/// Whom a ServerAuthorization lets in: without networks, whoever is in the cluster's.
pub(crate) fn of_server_authorization(
    authorization: &Resource<ServerAuthorization>,
    settings: &Settings,
) -> PolicyRule {
    let mut required = Required::default();
    match &authorization.spec.client.networks[..] {
        [] => required.within(&cluster(settings)),
        networks => required.within(networks),
    }
    match &authorization.spec.client.who {
        ServerClientKind::Anybody => {}
        // Whoever speaks the mesh's TLS here has an identity.
        ServerClientKind::MeshTls(MeshTlsClients::Any) => required.one_of(vec![TextMatch::Present]),
        ServerClientKind::MeshTls(MeshTlsClients::Some {
            identities,
            service_accounts,
        }) => {
            let own = &authorization.meta.namespace;
            let named = identities
                .iter()
                .filter_map(|written| identity::principals(written, settings));
            let accounts = service_accounts.iter().map(|account| {
                identity::account(
                    account.namespace.as_deref().unwrap_or(own),
                    &account.name,
                    settings,
                )
            });
            required.one_of(named.chain(accounts).collect());
        }
    }
    required.rule()
}

/// Whom an access policy lets in by itself; `None` is nobody.
pub(crate) fn of_access_policy(policy: AccessPolicy, settings: &Settings) -> Option<PolicyRule> {
    let mut required = Required::default();
    match policy {
        AccessPolicy::Deny | AccessPolicy::Audit => return None,
        AccessPolicy::AllUnauthenticated => {}
        AccessPolicy::AllAuthenticated => required.one_of(vec![TextMatch::Present]),
        AccessPolicy::ClusterUnauthenticated => required.within(&cluster(settings)),
        AccessPolicy::ClusterAuthenticated => {
            required.one_of(vec![TextMatch::Present]);
            required.within(&cluster(settings));
        }
    }
    Some(required.rule())
}

fn cluster(settings: &Settings) -> Vec<Network> {
    let network = |cidr: &IpNet| Network {
        cidr: *cidr,
        except: Vec::new(),
    };
    settings.cluster_networks.iter().map(network).collect()
}

/// The authentication that a policy of `namespace` refers to; `None` when there is none.
pub(crate) fn referred<'a>(
    written: &AuthenticationRef,
    namespace: &Arc<str>,
    view: &View<'a>,
) -> Option<&'a Object> {
    let kind = match written.kind {
        AuthenticationKind::MeshTls => Kind::MeshTlsAuthentication,
        AuthenticationKind::Network => Kind::NetworkAuthentication,
        AuthenticationKind::ServiceAccount => return None,
    };
    let namespace = written
        .namespace
        .as_deref()
        .map_or_else(|| Arc::clone(namespace), Arc::from);
    view.found(Read::Authentications(namespace))
        .find(|object| object.kind() == kind && *object.meta().name == *written.name)
}

impl Required {
    fn authentication(&mut self, written: &AuthenticationRef, namespace: &Arc<str>, view: &View<'_>) {
        if written.kind == AuthenticationKind::ServiceAccount {
            let namespace = written.namespace.as_deref().unwrap_or(namespace);
            return self.one_of(vec![identity::account(namespace, &written.name, view.settings)]);
        }
        match referred(written, namespace, view) {
            Some(Object::MeshTlsAuthentication(found)) => self.one_of(identities(found, view.settings)),
            Some(Object::NetworkAuthentication(found)) => self.within(&found.spec.networks),
            _ => self.lose(format!("an authentication {} that is not there", written.name)),
        }
    }

    fn one_of(&mut self, identities: Vec<TextMatch>) {
        if identities.is_empty() {
            self.lose("identities that no workload can have".to_owned());
        }
        self.identities.push(identities);
    }

    fn within(&mut self, networks: &[Network]) {
        let both = match &self.networks {
            None => networks.to_vec(),
            Some(others) => common(others, networks),
        };
        if both.is_empty() {
            self.lose("networks that have no address in common".to_owned());
        }
        if both.len() > MAX_NETWORKS {
            self.lose(format!("more than {MAX_NETWORKS} networks"));
        }
        self.networks = Some(both);
    }

    fn lose(&mut self, what: String) {
        self.lost.get_or_insert(what.into());
    }

    fn rule(self) -> PolicyRule {
        let mut identities = self.identities.into_iter();
        let principals = identities.next().unwrap_or_default();
        PolicyRule {
            from: sources(principals, self.networks),
            to: Vec::new(),
            when: identities.map(condition).collect(),
            unsupported: self.lost,
        }
    }
}

/// The identities of a MeshTLSAuthentication that a workload can have.
fn identities(found: &Resource<MeshTlsAuthentication>, settings: &Settings) -> Vec<TextMatch> {
    let written = found.spec.identities.iter();
    let named = written.filter_map(|written| identity::principals(written, settings));
    let refs = found.spec.identity_refs.iter().map(|written| match written.kind {
        IdentityKind::Namespace => identity::namespace(&written.name, settings),
        IdentityKind::ServiceAccount => {
            let own = written.namespace.as_deref().unwrap_or(&found.meta.namespace);
            identity::account(own, &written.name, settings)
        }
    });
    named.chain(refs).collect()
}

/// The addresses that lie in a network of either list: of two blocks that meet, one lies in the other.
fn common(some: &[Network], others: &[Network]) -> Vec<Network> {
    let mut both = Vec::new();
    for (a, b) in some.iter().flat_map(|a| others.iter().map(move |b| (a, b))) {
        let narrower = match (a.cidr.contains(&b.cidr), b.cidr.contains(&a.cidr)) {
            (true, _) => b.cidr,
            (_, true) => a.cidr,
            _ => continue,
        };
        let except: Vec<_> = a.except.iter().chain(&b.except).copied().collect();
        if !except.iter().any(|hole| hole.contains(&narrower)) {
            both.push(Network {
                cidr: narrower,
                except,
            });
        }
        if both.len() > MAX_NETWORKS {
            break;
        }
    }
    both
}

/// The alternatives of a rule. Networks without exceptions are one, each with some is another.
fn sources(principals: Vec<TextMatch>, networks: Option<Vec<Network>>) -> Vec<Source> {
    let source = |ip_blocks, not_ip_blocks| Source {
        principals: principals.clone(),
        ip_blocks,
        not_ip_blocks,
        ..Source::default()
    };
    let Some(networks) = networks else {
        return match principals.is_empty() {
            true => Vec::new(),
            false => vec![source(Vec::new(), Vec::new())],
        };
    };
    let (whole, holed): (Vec<_>, Vec<_>) = networks
        .into_iter()
        .partition(|network| network.except.is_empty());
    let whole: Vec<_> = whole.iter().map(|network| block(&network.cidr)).collect();
    let whole = (!whole.is_empty()).then(|| source(whole, Vec::new()));
    let holed = holed.iter().map(|network| {
        source(
            vec![block(&network.cidr)],
            network.except.iter().map(block).collect(),
        )
    });
    whole.into_iter().chain(holed).collect()
}

fn block(written: &IpNet) -> IpBlock {
    IpBlock {
        address: written.addr(),
        prefix_len: written.prefix_len(),
    }
}

fn condition(principals: Vec<TextMatch>) -> Condition {
    Condition {
        attribute: Attribute::SourcePrincipal,
        values: principals,
        not_values: Vec::new(),
        blocks: Vec::new(),
        not_blocks: Vec::new(),
    }
}
