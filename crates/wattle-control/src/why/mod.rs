//! Why was it refused, and what would have to change? The recorded facts, asked again of the mesh as it is now.
//!
//! Nothing is decided here: [`why`] calls what the proxy called, with a trace, and tries out which part of a rule would
//! have to give way.

mod facts;
mod remedy;
#[cfg(test)]
mod tests;
mod text;

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};
use wattle_compile::Mesh;
use wattle_model::{AuthorizationDecision, ConnectionFacts, Inbound, RequestFacts, Step};
use wattle_telemetry::Refusal;

use crate::explain::{TraceLine, lines};
pub(crate) use facts::Facts;

/// Why it was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// What was recorded, with the answer of then.
    pub refusal: Refusal,
    /// The workload that it was sent to, `namespace/name`.
    pub workload: String,
    /// What the mesh as it is now says to the same facts.
    pub now: Said,
    /// The answer is another than it was.
    pub changed: bool,
    /// What would have to change for it to be let in, one line each; any one suffices.
    pub remedies: Vec<String>,
    /// What is not known, one line each.
    pub notes: Vec<String>,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// It is let in.
    pub allowed: bool,
    /// Stable id of the reason it is refused for.
    pub reason: Option<String>,
    /// Policy and rule that decided, with file and line.
    pub policy: Option<String>,
    /// What was tried.
    pub trace: Vec<TraceLine>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyError {
    /// The workload is not in the mesh.
    #[error("no workload of the mesh is {0}")]
    Workload(String),
    /// A recorded name cannot be read.
    #[error("{0} is not a SPIFFE name")]
    Identity(String),
}

/// Asks the mesh as it is now about recorded facts.
///
/// # Errors
/// When the workload is not in the mesh, or the record cannot be read.
pub fn why(mesh: &mut Mesh, refusal: &Refusal) -> Result<Why, WhyError> {
    let workload = workload(mesh, refusal).ok_or_else(|| WhyError::Workload(named(refusal)))?;
    let inbound = mesh
        .inbound(&workload)
        .ok_or_else(|| WhyError::Workload(workload.clone()))?;
    let facts = Facts::of(refusal)?;
    let now = facts.ask(|connection, request| said(&inbound, connection, request));
    let remedies = facts.ask(|connection, request| remedy::remedies(&inbound, refusal, connection, request));
    let then = plain(&refusal.policy);
    let same = now.reason.as_deref() == Some(refusal.reason.as_str())
        && (then.is_empty() || then == plain(now.policy.as_deref().unwrap_or_default()));
    let changed = decides(&refusal.reason) && !same;
    Ok(Why {
        workload,
        notes: notes(refusal),
        changed,
        now,
        remedies,
        refusal: refusal.clone(),
    })
}

/// How the workload is named that nothing is found of.
pub(crate) fn named(refusal: &Refusal) -> String {
    match refusal.workload.as_str() {
        "" => refusal.local.ip().to_string(),
        workload => workload.to_owned(),
    }
}

/// The instance itself, else one at the address, else another one of the same service account: the process that the
/// instance is a copy of, if that is among them.
pub(crate) fn workload(mesh: &Mesh, refusal: &Refusal) -> Option<String> {
    let id = refusal.workload.parse::<wattle_identity::SpiffeId>().ok();
    if let Some(id) = &id
        && mesh.workload(id.namespace(), &refusal.instance).is_some()
    {
        return Some(format!("{}/{}", id.namespace(), refusal.instance));
    }
    let at = mesh
        .workloads()
        .find(|instance| instance.address == Some(refusal.local.ip()));
    let same = || {
        let id = id.as_ref()?;
        let all = mesh.workloads().filter(|instance| {
            *instance.workload.namespace == *id.namespace()
                && *instance.workload.service_account == *id.service_account()
        });
        // The first of those that fit equally well.
        all.enumerate()
            .max_by_key(|(at, instance)| (likeness(&instance.key.name, &refusal.instance), Reverse(*at)))
            .map(|(_, instance)| instance)
    };
    at.filter(|_| id.is_none())
        .or_else(same)
        .map(|instance| format!("{}/{}", instance.key.namespace, instance.key.name))
}

/// How much of an instance's name is the name of its process: copies are called `PROCESS-…`.
fn likeness(process: &str, instance: &str) -> usize {
    let rest = instance.strip_prefix(process);
    let copy = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    if copy { process.len() } else { 0 }
}

/// Object and rule without file and line, which may move while the policy stays as it is.
fn plain(policy: &str) -> String {
    let (object, rest) = policy.split_once(" (").unwrap_or((policy, ""));
    let rule = rest.rsplit_once(')').map_or("", |(_, rule)| rule);
    format!("{object}{rule}")
}

/// Is the reason one that policies give?
fn decides(reason: &str) -> bool {
    ["policy_denied", "policy_not_allowed", "mtls_required"].contains(&reason)
}

fn said(inbound: &Inbound, connection: &ConnectionFacts<'_>, request: Option<&RequestFacts<'_>>) -> Said {
    let mut trace: Vec<Step> = Vec::new();
    if let Err(refusal) = inbound.admit(connection, &mut trace) {
        return Said {
            allowed: false,
            reason: Some(refusal.reason.id().to_owned()),
            policy: refusal.policy.map(ToString::to_string),
            trace: lines(trace),
        };
    }
    let decision = inbound.authorize(connection, request, &mut trace);
    let trace = lines(trace);
    match decision {
        AuthorizationDecision::Allowed { policy } => Said {
            allowed: true,
            reason: None,
            policy: policy.map(ToString::to_string),
            trace,
        },
        AuthorizationDecision::Refused { reason, policy, rule } => {
            let rule = rule.map(|rule| format!(" rule {rule}")).unwrap_or_default();
            Said {
                allowed: false,
                reason: Some(reason.id().to_owned()),
                policy: policy.map(|policy| format!("{policy}{rule}")),
                trace,
            }
        }
    }
}

fn notes(refusal: &Refusal) -> Vec<String> {
    let mut notes = Vec::new();
    if refusal.id.is_empty() {
        notes.push("from a line of the log: headers and token are not known".to_owned());
    }
    let Some(request) = &refusal.request else {
        return notes;
    };
    if request.cut {
        notes.push(
            "not all of the request was kept, which is longer than 8 KiB or has a longer text than 1 KiB"
                .to_owned(),
        );
    }
    let unknown: Vec<&str> = request
        .header_names
        .iter()
        .filter(|name| !request.headers.contains_key(*name))
        .map(String::as_str)
        .collect();
    if !unknown.is_empty() {
        notes.push(format!(
            "values that no policy compared were not kept: {}",
            unknown.join(", ")
        ));
    }
    notes
}
