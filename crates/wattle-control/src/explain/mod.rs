//! Who may send what where, and why: the decisions of the model, asked and written down.
//!
//! Nothing is decided here. [`explain`] finds the source and the destination, then calls the same
//! [`Destination::route`](wattle_model::Destination::route), [`Inbound::admit`](wattle_model::Inbound::admit) and
//! [`Inbound::authorize`](wattle_model::Inbound::authorize) that a proxy calls, with a trace.

mod asked;
mod backend;
mod inbound;
mod question;
mod route;
mod said;
#[cfg(test)]
mod tests;
mod text;
mod token;

use serde::{Deserialize, Serialize};
use wattle_compile::Mesh;

pub use question::{ExplainError, Question};

/// What happens to a request, and because of what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Who sends it.
    pub source: Source,
    /// The request as it was asked about.
    pub request: Request,
    /// What the dialled host and port are.
    pub destination: Resolved,
    /// Where it is routed.
    pub route: RouteStep,
    /// What each backend's workloads say to it; empty when nothing is forwarded.
    pub backends: Vec<BackendStep>,
    /// The answer.
    pub answer: Answer,
    /// What was taken for given about the mesh as a whole, one line each; nothing when a running mesh was asked.
    pub notes: Vec<String>,
}

/// Who sends a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// `namespace/name` of the workload; empty when the question named an identity only.
    pub workload: String,
    /// Namespace whose view of names and routes counts.
    pub namespace: String,
    /// SPIFFE name; absent for a workload without a proxy, which sends plaintext.
    pub identity: Option<String>,
    /// Address it is assumed to come from.
    pub address: String,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Method.
    pub method: String,
    /// URL.
    pub url: String,
    /// Headers, in the order given.
    pub headers: Vec<(String, String)>,
}

/// What a host and port are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resolved {
    /// Name of the Destination resource that was asked for.
    pub name: String,
    /// `namespace/name` of the Service; absent for an address that the mesh does not know.
    pub service: Option<String>,
    /// Its virtual address.
    pub address: Option<String>,
    /// Port.
    pub port: u16,
    /// Protocol declared for it: `detect`, `tcp`, `tls`, `http`, `http2` or `grpc`.
    pub protocol: String,
}

/// Where a request is routed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteStep {
    /// The rule that matched, with file and line; absent when there are no rules or none matched.
    pub rule: Option<String>,
    /// What the rule changes, one line each.
    pub filters: Vec<String>,
    /// Time limits, retries and sessions, one line each.
    pub timeouts: Vec<String>,
    /// `forward`, `redirect`, `respond`, `fault` or `refuse`.
    pub outcome: String,
    /// Where a redirect leads, what the mesh answers by itself, or why it is refused.
    pub detail: String,
    /// Rules tried.
    pub trace: Vec<TraceLine>,
}

/// A backend and its workloads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackendStep {
    /// What was written, or the backend's id.
    pub name: String,
    /// Id of its endpoints; empty when the reference could not be resolved.
    #[serde(default)]
    pub id: String,
    /// Part of the requests, 0 to 100.
    pub percent: f64,
    /// Why its part is refused; absent when it can be forwarded.
    pub problem: Option<String>,
    /// What this backend's own filters change, one line each.
    pub filters: Vec<String>,
    /// How traffic to it is spread, limited and secured, one line each; empty when nothing is said about it.
    #[serde(default)]
    pub policy: Vec<String>,
    /// Endpoints that are no workloads of the mesh: addresses, and names that DNS is asked for.
    #[serde(default)]
    pub outside: Vec<String>,
    /// Its workloads.
    pub workloads: Vec<WorkloadStep>,
}

/// What one workload's proxy says to the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkloadStep {
    /// `namespace/name`.
    pub workload: String,
    /// `ip:port`; only the port when it does not run.
    pub address: String,
    /// `healthy`, `draining`, `unhealthy` or `not running`.
    pub health: String,
    /// It has a proxy that enforces; without one everything is let in.
    pub meshed: bool,
    /// The connection to it is mutual TLS.
    pub mtls: bool,
    /// Mode in force there: `STRICT`, `PERMISSIVE` or `DISABLE`, and the object that set it.
    pub mode: String,
    /// The request is let in.
    pub allowed: bool,
    /// Stable reason id of a refusal.
    pub reason: Option<String>,
    /// The policy and rule that decided, with file and line.
    pub policy: Option<String>,
    /// What was tried.
    pub trace: Vec<TraceLine>,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceLine {
    /// What.
    pub subject: String,
    /// `matched`, `skipped` or `refused`.
    pub verdict: String,
    /// Why.
    pub detail: String,
}

/// The answer in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Some of the requests reach an application, or are answered by a rule that is meant to.
    pub allowed: bool,
    /// HTTP status of the mesh's own reply; absent when an application answers or when it depends on the backend.
    pub status: Option<u16>,
    /// Stable reason id of a refusal.
    pub reason: Option<String>,
    /// One line.
    pub text: String,
}

/// Answers a question about the mesh as it is now.
///
/// # Errors
/// When the source is not known or the URL cannot be read.
pub fn explain(mesh: &mut Mesh, question: &Question) -> Result<Explanation, ExplainError> {
    let asked = asked::read(mesh, question)?;
    let Some(destination) = mesh.destination(&asked.destination, &asked.source.namespace) else {
        return Err(ExplainError::Destination(asked.destination));
    };
    let destination = destination.seen_by(&asked.head.facts().caller);
    let address = route::virtual_address(mesh, &destination);
    let dialled = route::dialled(&asked, address.as_deref());
    let resolved = route::resolved(&asked, &destination, address);
    let route = route::step(&asked, &destination, dialled);
    let backends = backend::steps(mesh, &asked, &route);
    let answer = text::answer(&route.step, &backends);
    Ok(Explanation {
        source: asked.source,
        request: asked.request,
        destination: resolved,
        route: route.step,
        backends,
        answer,
        notes: Vec::new(),
    })
}

pub(crate) fn lines(trace: Vec<wattle_model::Step>) -> Vec<TraceLine> {
    let verdict = |verdict| match verdict {
        wattle_model::Verdict::Matched => "matched",
        wattle_model::Verdict::Skipped => "skipped",
        wattle_model::Verdict::Refused => "refused",
    };
    let line = |step: wattle_model::Step| TraceLine {
        subject: step.subject,
        verdict: verdict(step.verdict).to_owned(),
        detail: step.detail,
    };
    trace.into_iter().map(line).collect()
}
