//! Claims such as `nothing in shop reaches bank/ledger on 8080`, for every workload that is meant.
//!
//! ```text
//! claim   = "nothing" [ "in" NAMESPACE | "from" NAMESPACE "/" ACCOUNT ] "reaches" TARGET [ "on" PORT ] [ "with" METHOD [ PATH ] ]
//! TARGET  = NAMESPACE "/" WORKLOAD | NAMESPACE "/" "*" | WORKLOAD       of namespace default
//! ```

mod claim;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;
use wattle_compile::Mesh;
use wattle_model::{Proof, ProofVerdict, ReachClaim, Witness};

pub use claim::{Claim, ClaimError};

/// What is proved of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// The claim as it was read.
    pub claim: String,
    /// It holds for all workloads.
    pub holds: bool,
    /// Each workload that is meant.
    pub workloads: Vec<WorkloadReach>,
}

/// What is proved for one workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkloadReach {
    /// `namespace/name`.
    pub workload: String,
    /// `holds`, `reached`, `may be reached` or `too large`.
    pub verdict: &'static str,
    /// A request or connection that gets in.
    pub witness: Option<String>,
    /// What was taken to hold because it cannot be reasoned about.
    pub assumed: Vec<String>,
}

/// Proves the claim for every workload that it names.
///
/// # Errors
/// When it names none.
pub fn prove(mesh: &mut Mesh, claim: &Claim) -> Result<Reach, ClaimError> {
    let meant: Vec<(String, bool)> = mesh
        .workloads()
        .filter(|instance| {
            *instance.key.namespace == *claim.target_namespace
                && claim
                    .target
                    .as_deref()
                    .is_none_or(|name| *instance.key.name == *name || *instance.workload.name == *name)
        })
        .map(|instance| {
            let name = format!("{}/{}", instance.key.namespace, instance.key.name);
            (name, instance.meshed)
        })
        .collect();
    if meant.is_empty() {
        return Err(ClaimError::Target(claim.target()));
    }
    let settings = mesh.settings();
    let own = std::iter::once(&settings.trust_domain).chain(&settings.trust_domain_aliases);
    let domains: Vec<String> = own.map(ToString::to_string).collect();
    let workloads: Vec<_> = meant
        .into_iter()
        .map(|(workload, meshed)| one(mesh, claim, &domains, (workload, meshed)))
        .collect();
    Ok(Reach {
        claim: claim.to_string(),
        holds: workloads.iter().all(|one| one.verdict == "holds"),
        workloads,
    })
}

fn one(
    mesh: &mut Mesh,
    claim: &Claim,
    domains: &[String],
    (workload, meshed): (String, bool),
) -> WorkloadReach {
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    let asked = ReachClaim {
        trust_domains: &domains,
        namespace: claim.namespace.as_deref(),
        service_account: claim.account.as_deref(),
        port: claim.port,
        method: claim.method.as_deref(),
        path: claim.path.as_deref(),
    };
    let inbound = mesh.inbound(&workload).filter(|_| meshed);
    let Some(Proof { verdict, assumed }) = inbound.map(|inbound| inbound.prove(&asked)) else {
        return WorkloadReach {
            workload,
            verdict: "reached",
            witness: Some("anything: it has no proxy that refuses".to_owned()),
            assumed: Vec::new(),
        };
    };
    let (verdict, witness) = match verdict {
        ProofVerdict::Holds => ("holds", None),
        ProofVerdict::Reached(witness) => ("reached", Some(said(&witness))),
        ProofVerdict::MayBeReached(witness) => ("may be reached", Some(said(&witness))),
        ProofVerdict::TooLarge => ("too large", None),
    };
    WorkloadReach {
        workload,
        verdict,
        witness,
        assumed,
    }
}

fn said(witness: &Witness) -> String {
    let who = witness.principal.as_deref().unwrap_or("anybody in plaintext");
    match &witness.request {
        Some((method, path)) => format!("{who}: {method} {path} on port {}", witness.port),
        None => format!("{who}: a connection to port {}", witness.port),
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {}",
            if self.holds { "proved" } else { "not proved" },
            self.claim
        )?;
        for one in &self.workloads {
            writeln!(f, "  {}  {}", one.workload, one.verdict)?;
            if let Some(witness) = &one.witness {
                writeln!(f, "    by {witness}")?;
            }
            for assumed in &one.assumed {
                writeln!(f, "    assumed: {assumed}")?;
            }
        }
        Ok(())
    }
}
