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
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wattle_compile::Mesh;
use wattle_model::{Inbound, Proof, ProofVerdict, ReachClaim, Witness};

pub use claim::{Claim, ClaimError};

/// What is proved of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// The claim as it was read.
    pub claim: String,
    /// It holds for all workloads.
    pub holds: bool,
    /// Each workload that is meant.
    pub workloads: Vec<WorkloadReach>,
    /// What was taken for given about the mesh as a whole, one line each; nothing when a running mesh was asked.
    pub notes: Vec<String>,
}

/// What is proved for one workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadReach {
    /// `namespace/name`.
    pub workload: String,
    /// The answer.
    pub verdict: Verdict,
    /// A request or connection that gets in.
    pub witness: Option<String>,
    /// What was taken to hold because it cannot be reasoned about.
    pub assumed: Vec<String>,
}

/// Whether the claim holds for one workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing of the kind gets in.
    Holds,
    /// The witness gets in.
    Reached,
    /// The witness gets in if what is assumed can be met.
    #[serde(rename = "may be reached")]
    MayBeReached,
    /// There are more cases than are tried.
    #[serde(rename = "too large")]
    TooLarge,
}

/// A question to which the same program answers: the claim as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofRequest {
    /// The claim.
    pub claim: String,
}

/// A claim with all that it is about, as it is at one moment: the proof may take seconds and needs the mesh no more.
pub struct Case {
    claim: Claim,
    domains: Vec<String>,
    /// Each by name; `None` has no proxy.
    workloads: Vec<(String, Option<Arc<Inbound>>)>,
}

/// Proves the claim for every workload that it names.
///
/// # Errors
/// When it names none.
pub fn prove(mesh: &mut Mesh, claim: &Claim) -> Result<Reach, ClaimError> {
    Ok(Case::of(mesh, claim)?.prove())
}

impl Case {
    /// What the mesh says of the claim's workloads.
    ///
    /// # Errors
    /// When it names none.
    pub fn of(mesh: &mut Mesh, claim: &Claim) -> Result<Self, ClaimError> {
        let meant: Vec<(String, bool)> =
            mesh.workloads()
                .filter(|instance| {
                    *instance.key.namespace == *claim.target_namespace
                        && claim.target.as_deref().is_none_or(|name| {
                            *instance.key.name == *name || *instance.workload.name == *name
                        })
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
        let domains = own.map(ToString::to_string).collect();
        let enforced = |(workload, meshed): (String, bool)| {
            let inbound = mesh.inbound(&workload).filter(|_| meshed);
            (workload, inbound)
        };
        Ok(Self {
            claim: claim.clone(),
            domains,
            workloads: meant.into_iter().map(enforced).collect(),
        })
    }

    /// Proves it for each workload.
    pub fn prove(&self) -> Reach {
        let workloads: Vec<_> = self
            .workloads
            .iter()
            .map(|(workload, inbound)| self.one(workload, inbound.as_deref()))
            .collect();
        Reach {
            claim: self.claim.to_string(),
            holds: workloads.iter().all(|one| one.verdict == Verdict::Holds),
            workloads,
            notes: Vec::new(),
        }
    }

    fn one(&self, workload: &str, inbound: Option<&Inbound>) -> WorkloadReach {
        let domains: Vec<&str> = self.domains.iter().map(String::as_str).collect();
        let asked = ReachClaim {
            trust_domains: &domains,
            namespace: self.claim.namespace.as_deref(),
            service_account: self.claim.account.as_deref(),
            port: self.claim.port,
            method: self.claim.method.as_deref(),
            path: self.claim.path.as_deref(),
        };
        let Some(Proof { verdict, assumed }) = inbound.map(|inbound| inbound.prove(&asked)) else {
            return WorkloadReach {
                workload: workload.to_owned(),
                verdict: Verdict::Reached,
                witness: Some("anything: it has no proxy that refuses".to_owned()),
                assumed: Vec::new(),
            };
        };
        let (verdict, witness) = match verdict {
            ProofVerdict::Holds => (Verdict::Holds, None),
            ProofVerdict::Reached(witness) => (Verdict::Reached, Some(said(&witness))),
            ProofVerdict::MayBeReached(witness) => (Verdict::MayBeReached, Some(said(&witness))),
            ProofVerdict::TooLarge => (Verdict::TooLarge, None),
        };
        WorkloadReach {
            workload: workload.to_owned(),
            verdict,
            witness,
            assumed,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Holds => "holds",
            Self::Reached => "reached",
            Self::MayBeReached => "may be reached",
            Self::TooLarge => "too large",
        })
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
        self.notes
            .iter()
            .try_for_each(|note| writeln!(f, "  note: {note}"))
    }
}
