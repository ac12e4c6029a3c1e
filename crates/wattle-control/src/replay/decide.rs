//! What a mesh says to records.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wattle_compile::Mesh;
use wattle_model::{AuthorizationDecision, ConnectionFacts, Inbound, MtlsMode, NoTrace, RequestFacts};

use super::known::{Knowledge, Unknown, counted, unknown_routes};
use super::{Answer, same};
use crate::records::{Known, Record};
use crate::why::{Facts, WhyError, named, workload};

/// What a mesh says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The workload that it was asked for, `namespace/name`.
    pub workload: String,
    /// The answer.
    pub verdict: Verdict,
    /// The workload's rules without the places they are written at, digested: equal digests decide alike, whatever the facts.
    pub rules: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It is let in.
    LetIn {
        /// The policy that lets it in; none where none has to.
        policy: Option<String>,
    },
    /// It is refused.
    Refused {
        /// Stable id of the reason.
        reason: String,
        /// The policy that refuses.
        policy: Option<String>,
    },
    /// That depends on what the record does not hold.
    CannotTell {
        /// On what.
        on: Vec<String>,
    },
}

/// Most of what an answer depends on that is named.
const MOST_NAMED: usize = 8;

/// Records with the rules that they are about, as these are at one moment: what follows may take seconds and needs the mesh
/// no more.
pub struct Asked {
    records: Vec<Record>,
    /// Each workload's rules, once.
    rules: BTreeMap<String, Rules>,
    /// The workload of each record.
    about: Vec<Result<String, WhyError>>,
}

struct Rules {
    inbound: Arc<Inbound>,
    digest: String,
}

/// Asks a mesh about each record.
pub fn decided(mesh: &mut Mesh, records: &[Record]) -> Vec<Answer> {
    Asked::of(mesh, records.to_vec()).decide()
}

impl Asked {
    /// What the mesh says of the records' workloads.
    pub fn of(mesh: &mut Mesh, records: Vec<Record>) -> Self {
        let mut rules = BTreeMap::new();
        let mut about = |record: &Record| {
            let unknown = || WhyError::Workload(named(&record.facts));
            let workload = workload(mesh, &record.facts).ok_or_else(unknown)?;
            if !rules.contains_key(&workload) {
                let inbound = mesh.inbound(&workload).ok_or_else(unknown)?;
                let digest = same::digest(&inbound);
                rules.insert(workload.clone(), Rules { inbound, digest });
            }
            Ok(workload)
        };
        let about = records.iter().map(&mut about).collect();
        Self {
            records,
            rules,
            about,
        }
    }

    /// The answer to each record, in order.
    pub fn decide(&self) -> Vec<Answer> {
        let both = self.records.iter().zip(&self.about);
        both.map(|(record, workload)| self.one(record, workload.as_ref().map_err(ToString::to_string)?))
            .collect()
    }

    fn one(&self, record: &Record, workload: &str) -> Answer {
        let rules = self.rules.get(workload).ok_or("the workload is not known")?;
        let facts = Facts::of(&record.facts).map_err(|error| error.to_string())?;
        let verdict = facts.ask(|connection, request| verdict(&rules.inbound, record, connection, request));
        Ok(Decided {
            workload: workload.to_owned(),
            verdict,
            rules: rules.digest.clone(),
        })
    }
}

fn verdict(
    inbound: &Inbound,
    record: &Record,
    connection: &ConnectionFacts<'_>,
    request: Option<&RequestFacts<'_>>,
) -> Verdict {
    if let Some(verdict) = refused_unsecured(inbound, record, connection) {
        return verdict;
    }
    let knowledge = Knowledge::of(record, inbound);
    let mut on = unknown_routes(&inbound.authorization, record);
    let routes_unknown = !on.is_empty();
    let mut under = |ways| Inbound {
        authorization: counted(&inbound.authorization, &knowledge, ways, &mut on),
        ..Inbound::default()
    };
    let most = under((Unknown::Met, Unknown::NotMet));
    let least = under((Unknown::NotMet, Unknown::Met));
    let (open, shut) = (
        most.authorize(connection, request, &mut NoTrace),
        least.authorize(connection, request, &mut NoTrace),
    );
    let asked = most.asks(connection, request, &mut NoTrace);
    on.extend(
        asked
            .iter()
            .map(|ask| format!("the service that {} asks", ask.policy)),
    );
    match (open, shut) {
        _ if routes_unknown => cannot_tell(on),
        (AuthorizationDecision::Refused { .. }, AuthorizationDecision::Refused { reason, policy, rule }) => {
            let rule = rule.map(|rule| format!(" rule {rule}")).unwrap_or_default();
            Verdict::Refused {
                reason: reason.id().to_owned(),
                policy: policy.map(|policy| format!("{policy}{rule}")),
            }
        }
        (AuthorizationDecision::Allowed { policy }, AuthorizationDecision::Allowed { .. })
            if asked.is_empty() =>
        {
            Verdict::LetIn {
                policy: policy.map(ToString::to_string),
            }
        }
        _ => cannot_tell(on),
    }
}

fn cannot_tell(mut on: Vec<String>) -> Verdict {
    on.truncate(MOST_NAMED);
    Verdict::CannotTell { on }
}

/// Plaintext where mutual TLS is asked for. Of an edge the port is not known: it is refused where all ports ask for it.
fn refused_unsecured(
    inbound: &Inbound,
    record: &Record,
    connection: &ConnectionFacts<'_>,
) -> Option<Verdict> {
    if connection.peer.is_some() {
        return None;
    }
    if record.known != Known::Edge {
        let refusal = inbound.admit(connection, &mut NoTrace).err()?;
        return Some(Verdict::Refused {
            reason: refusal.reason.id().to_owned(),
            policy: refusal.policy.map(ToString::to_string),
        });
    }
    let modes = || inbound.ports.iter().map(|port| port.mtls).chain([inbound.mtls]);
    let strict = |mode| mode == MtlsMode::Strict;
    match (modes().all(strict), modes().any(strict)) {
        (true, _) => Some(Verdict::Refused {
            reason: wattle_model::Reason::MtlsRequired.id().to_owned(),
            policy: inbound.mtls_origin.as_ref().map(ToString::to_string),
        }),
        (false, true) => Some(cannot_tell(vec!["the port".to_owned()])),
        (false, false) => None,
    }
}
