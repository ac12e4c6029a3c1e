//! Does nothing of these callers reach this workload? An answer for all requests there could be, not for those tried.
//!
//! What policies compare by equality, beginning and end cuts identities, ports, methods and paths into finitely many
//! classes; one request of each is asked of [`Inbound::authorize`], so that there is no second evaluator. What cannot be
//! cut so (expressions, headers, hosts, addresses, tokens) is taken to hold where that lets in more, and said.

mod classes;
mod identities;
mod loosen;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};

use http::HeaderMap;

use crate::{
    AuthorizationDecision, CallerFacts, ConnectionFacts, Inbound, NoTrace, PeerFacts, RequestFacts, TextMatch,
};
use classes::{TextClasses, representatives};
use identities::Identity;

/// Most requests that are asked; beyond them nothing is said.
pub const MAX_ASKED: usize = 2_000_000;

/// Of whom and what it is to be proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// Trust domains whose certificates are taken.
    pub trust_domains: &'a [&'a str],
    /// Namespace of the callers; `None` is any.
    pub namespace: Option<&'a str>,
    /// Their service account; `None` is any.
    pub service_account: Option<&'a str>,
    /// Port of the workload; `None` is any.
    pub port: Option<u16>,
    /// Method; `None` is any, and connections that are no requests.
    pub method: Option<&'a str>,
    /// Path; `None` is any.
    pub path: Option<&'a str>,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The answer.
    pub verdict: ProofVerdict,
    /// What was taken to hold because it cannot be reasoned about; more may seem to be let in than is.
    pub assumed: Vec<String>,
}

/// Whether the claim holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofVerdict {
    /// Nothing reaches it, whatever is sent.
    Holds,
    /// This is let in.
    Reached(Witness),
    /// This may be let in, if what was assumed can be met.
    MayBeReached(Witness),
    /// There are more classes than [`MAX_ASKED`].
    TooLarge,
}

/// A request that is let in, or a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Principal of the caller; `None` is plaintext.
    pub principal: Option<String>,
    /// Port.
    pub port: u16,
    /// Method and path; `None` is an opaque connection.
    pub request: Option<(String, String)>,
}

impl Inbound {
    /// Is nothing let in of what the claim names?
    pub fn prove(&self, claim: &Claim<'_>) -> Proof {
        let mut assumed = Vec::new();
        let loose = Self {
            authorization: loosen::authorization(&self.authorization, &mut assumed),
            ..self.clone()
        };
        assumed.sort();
        assumed.dedup();
        let verdict = search(self, &loose, claim);
        Proof { verdict, assumed }
    }
}

fn search(exact: &Inbound, loose: &Inbound, claim: &Claim<'_>) -> ProofVerdict {
    let policies = loose.authorization.policies();
    let rules: Vec<_> = policies.flat_map(|policy| &policy.rules).collect();
    let identities = identities::of(&rules, claim);
    let ports = ports(loose, &rules, claim);
    let requests = requests(&rules, claim);
    let asked = identities
        .len()
        .saturating_mul(ports.len())
        .saturating_mul(requests.len());
    if asked > MAX_ASKED {
        return ProofVerdict::TooLarge;
    }
    let mut perhaps = None;
    for identity in &identities {
        for port in &ports {
            for request in &requests {
                let witness = || Witness {
                    principal: identity.as_ref().map(|identity| identity.principal.clone()),
                    port: *port,
                    request: request.clone(),
                };
                if lets_in(loose, identity.as_ref(), *port, request.as_ref()) {
                    if lets_in(exact, identity.as_ref(), *port, request.as_ref()) {
                        return ProofVerdict::Reached(witness());
                    }
                    perhaps.get_or_insert_with(witness);
                }
            }
        }
    }
    perhaps.map_or(ProofVerdict::Holds, ProofVerdict::MayBeReached)
}

fn lets_in(
    inbound: &Inbound,
    identity: Option<&Identity>,
    port: u16,
    request: Option<&(String, String)>,
) -> bool {
    let headers = HeaderMap::new();
    let connection = ConnectionFacts {
        peer: identity.map(|identity| PeerFacts {
            principal: &identity.principal,
            namespace: &identity.namespace,
            service_account: &identity.service_account,
        }),
        peer_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        local_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        port,
        sni: None,
    };
    let request = request.map(|(method, path)| RequestFacts {
        method,
        scheme: "http",
        authority: "",
        path,
        query: None,
        headers: &headers,
        caller: CallerFacts::default(),
        remote_ip: None,
        token: None,
    });
    inbound.admit(&connection, &mut NoTrace).is_ok()
        && matches!(
            inbound.authorize(&connection, request.as_ref(), &mut NoTrace),
            AuthorizationDecision::Allowed { .. }
        )
}

/// Every port that something names, and one that nothing does.
fn ports(inbound: &Inbound, rules: &[&crate::PolicyRule], claim: &Claim<'_>) -> Vec<u16> {
    if let Some(port) = claim.port {
        return vec![port];
    }
    let operations = rules.iter().flat_map(|rule| &rule.to);
    let mut ports: Vec<u16> = operations
        .flat_map(|operation| operation.ports.iter().chain(&operation.not_ports))
        .copied()
        .chain(inbound.ports.iter().map(|port| port.port))
        .chain(inbound.authorization.gates.iter().filter_map(|gate| gate.port))
        .collect();
    ports.sort_unstable();
    ports.dedup();
    let other = (1..=u16::MAX).find(|port| ports.binary_search(port).is_err());
    ports.extend(other);
    ports
}

/// One request of each class of methods and paths, and a connection that is none.
fn requests(rules: &[&crate::PolicyRule], claim: &Claim<'_>) -> Vec<Option<(String, String)>> {
    let operations = || rules.iter().flat_map(|rule| &rule.to);
    let texts = |lists: fn(&crate::Operation) -> [&Vec<TextMatch>; 2]| {
        let mut classes = TextClasses::default();
        operations()
            .flat_map(lists)
            .flatten()
            .for_each(|text| classes.add(text));
        classes
    };
    let methods = match claim.method {
        Some(method) => vec![method.to_owned()],
        None => representatives(
            &texts(|operation| [&operation.methods, &operation.not_methods]),
            "GET",
            "",
        ),
    };
    let paths = match claim.path {
        Some(path) => vec![path.to_owned()],
        None => representatives(
            &texts(|operation| [&operation.paths, &operation.not_paths]),
            "/",
            "/",
        ),
    };
    let opaque = claim.method.is_none() && claim.path.is_none();
    let pairs = methods
        .iter()
        .flat_map(|method| paths.iter().map(move |path| Some((method.clone(), path.clone()))));
    pairs.chain(opaque.then_some(None)).collect()
}
