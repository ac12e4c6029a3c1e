//! Who sends: what a decision about outbound traffic may depend on besides the traffic itself.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::matching::CallerLabel;
use crate::{Destination, ObjectRef, Reason, Step, Trace, Verdict};

/// The caller's own side.
#[derive(Clone, Copy, Debug)]
pub struct CallerFacts<'a> {
    /// Labels of its workload.
    pub labels: &'a [(Arc<str>, Arc<str>)],
    /// Its address.
    pub address: IpAddr,
}

impl Default for CallerFacts<'_> {
    fn default() -> Self {
        Self {
            labels: &[],
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        }
    }
}

impl CallerFacts<'_> {
    /// Does it have all of these?
    pub fn has_labels(&self, wanted: &[CallerLabel]) -> bool {
        wanted.iter().all(|label| self.labels.contains(label))
    }
}

/// What a destination is to some callers of the namespace it was compiled for (Istio `Sidecar`, our `EgressPolicy`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerScope {
    /// Labels of the workloads it is about; empty for all.
    pub labels: Vec<CallerLabel>,
    /// The object that says so.
    pub origin: ObjectRef,
    /// What the destination is to them.
    pub access: Access,
}

/// What a destination is to a caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// A destination of the mesh, with its routes.
    #[default]
    Full,
    /// An address like any other: carried as dialled, without routes.
    PassThrough,
    /// Not to be reached.
    Refused(Reason),
}

impl Destination {
    /// What this destination is to `caller`: what the first scope that covers it says, else [`Access::Full`].
    pub fn access(&self, caller: &CallerFacts<'_>, trace: &mut impl Trace) -> Access {
        let Some(scope) = self.scopes.iter().find(|scope| caller.has_labels(&scope.labels)) else {
            return Access::Full;
        };
        trace.note(|| {
            let (verdict, detail) = match scope.access {
                Access::Full => (Verdict::Matched, "the destination is in scope"),
                Access::PassThrough => (
                    Verdict::Matched,
                    "out of scope: carried as dialled, without routes",
                ),
                Access::Refused(_) => (Verdict::Refused, "the workload may not call it"),
            };
            Step::new(scope.origin.to_string(), verdict, detail)
        });
        scope.access
    }
}
