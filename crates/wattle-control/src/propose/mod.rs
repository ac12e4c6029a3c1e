//! Policies that let in what was seen and nothing else: an ALLOW policy for each workload that was called.
//!
//! What was refused is no reason to let anything in. Callers without identity are named and let in by their address, where
//! that is known; where it is not, nothing is proposed for the workload that they call, which would cut them off.

mod calls;
mod selector;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wattle_api::Labels;
use wattle_compile::Mesh;

use crate::records::{Known, Record, Then};
use crate::why::{named, workload};
use calls::{Caller, Calls};

/// Most addresses of callers without identity that a policy names.
const MAX_ADDRESSES: usize = 20;

/// What was seen, and what is wanted of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalRequest {
    /// What was seen.
    pub records: Vec<Record>,
    /// Which policies are wanted.
    pub scope: Scope,
}

/// Which policies are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Only for workloads of this namespace.
    pub namespace: Option<String>,
    /// Paths are named as well.
    pub paths: bool,
}

/// Policies, and what is to be known about them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// One for each workload that was called.
    pub policies: Vec<Proposed>,
    /// What none of them covers, one line each.
    pub notes: Vec<String>,
}

/// An `AuthorizationPolicy` with action ALLOW.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// Its namespace, that of the workload.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Labels of the workload.
    pub labels: Labels,
    /// Its rules.
    pub rules: Vec<ProposedRule>,
    /// What is to be known about it, one line each.
    pub notes: Vec<String>,
}

/// Callers that do the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposedRule {
    /// Who they are.
    pub principals: Vec<String>,
    /// Where they are, of those that have no identity.
    pub ip_blocks: Vec<String>,
    /// What they do; nothing is anything, of callers of whom no more is known.
    pub operations: Vec<ProposedOperation>,
}

/// What callers do.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProposedOperation {
    /// Port of the workload.
    pub port: u16,
    /// Methods; none is any, and connections that are no requests.
    pub methods: Vec<String>,
    /// Paths, the last character `*` of a beginning; none is any.
    pub paths: Vec<String>,
}

/// What a proposal needs of a record, so that fewer differ.
pub fn reduced(mut record: Record, scope: &Scope) -> Record {
    if record.facts.peer.is_some() {
        record.facts.downstream = ([0, 0, 0, 0], 0).into();
    }
    record.facts.sni = None;
    record.facts.reason = String::new();
    if let Some(request) = &mut record.facts.request {
        request.authority = String::new();
        if !scope.paths {
            request.path = String::new();
        }
    }
    record
}

/// A workload that was called.
struct Called {
    labels: Labels,
    calls: Calls,
    /// It has ALLOW policies already.
    guarded: bool,
}

/// Proposes policies for the mesh's workloads.
pub fn propose(mesh: &mut Mesh, request: &ProposalRequest) -> Proposal {
    let mut proposal = Proposal::default();
    let mut called: BTreeMap<(String, String), Called> = BTreeMap::new();
    for record in request
        .records
        .iter()
        .filter(|record| record.then() == Then::LetIn)
    {
        let Some(name) = workload(mesh, &record.facts) else {
            let unknown = named(&record.facts);
            note(
                &mut proposal.notes,
                format!("no workload of the mesh is {unknown}: its callers are not considered"),
            );
            continue;
        };
        let Some((namespace, instance)) = name.split_once('/') else {
            continue;
        };
        if request
            .scope
            .namespace
            .as_deref()
            .is_some_and(|wanted| wanted != namespace)
        {
            continue;
        }
        let Some(found) = mesh.workload(namespace, instance).cloned() else {
            continue;
        };
        let guarded = mesh
            .inbound(&name)
            .is_some_and(|inbound| !inbound.authorization.allow.is_empty());
        let known = called
            .entry((namespace.to_owned(), found.workload.name.to_string()))
            .or_insert_with(|| Called {
                labels: found.labels.clone(),
                calls: Calls::default(),
                guarded,
            });
        // What copies differ in does not name the workload.
        known
            .labels
            .retain(|name, value| found.labels.get(name) == Some(value));
        known.calls.add(record);
    }
    for ((namespace, name), called) in called {
        match policy(mesh, (&namespace, &name), called, &request.scope) {
            Ok(policy) => proposal.policies.push(policy),
            Err(why) => proposal
                .notes
                .push(format!("nothing is proposed for {namespace}/{name}: {why}")),
        }
    }
    if request.records.iter().any(|record| record.known == Known::Edge) {
        note(
            &mut proposal.notes,
            "edges know neither port nor method: an access log makes narrower policies".to_owned(),
        );
    }
    proposal
}

fn policy(
    mesh: &Mesh,
    (namespace, name): (&str, &str),
    called: Called,
    scope: &Scope,
) -> Result<Proposed, String> {
    let addresses: BTreeSet<_> = called.calls.callers().filter_map(Caller::address).collect();
    if called.calls.callers().any(|caller| *caller == Caller::Anybody) {
        return Err("it is called in plaintext from addresses that are not known; give its callers proxies, or an access log with `--log`".to_owned());
    }
    if addresses.len() > MAX_ADDRESSES {
        return Err(format!(
            "it is called in plaintext from {} addresses; give its callers proxies",
            addresses.len()
        ));
    }
    let (labels, also) = selector::labels(mesh, (namespace, name), &called.labels)?;
    let mut notes = Vec::new();
    if !also.is_empty() {
        notes.push(format!("also for {}: no label tells them apart", also.join(", ")));
    }
    if called.guarded {
        notes.push("the workload has ALLOW policies already: this one adds to what they let in".to_owned());
    }
    if !addresses.is_empty() {
        notes.push(format!(
            "callers without identity are let in by address: {}",
            listed(&addresses)
        ));
    }
    let rules = called.calls.rules(scope.paths, &mut notes);
    Ok(Proposed {
        namespace: namespace.to_owned(),
        name: format!("observed-{name}"),
        labels,
        rules,
        notes,
    })
}

fn listed(addresses: &BTreeSet<std::net::IpAddr>) -> String {
    addresses
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn note(notes: &mut Vec<String>, note: String) {
    if !notes.contains(&note) {
        notes.push(note);
    }
}
