//! Trial: what policies say that decide nothing, AUDIT and those that are tried only, for log and metrics.

use std::rc::Rc;

use wattle_model::{
    AuthorizationDecision, ConnectionFacts, Inbound, NoTrace, ObjectRef, Reason, RequestFacts,
};
use wattle_telemetry::{Family, Kind, Labels};

use super::record::Names;
use crate::worker::Worker;

static DENIED: Family = Family {
    name: "wattle_authorization_dry_run_denied_total",
    help: "Requests and connections that policies under trial would have refused, by policy and reason.",
    kind: Kind::Counter,
    hides_idle: false,
};

/// What is to be told of it; nothing is compared where no such policy exists.
#[derive(Default)]
pub(crate) struct Marks {
    audited_by: Option<Rc<str>>,
    dry_run: Option<Rc<str>>,
}

impl Marks {
    /// Asks the policies that decide nothing. AUDIT is only for the log; what a trial would have refused is also counted.
    pub(crate) fn of(
        worker: &Worker,
        inbound: &Inbound,
        connection: &ConnectionFacts<'_>,
        request: Option<&RequestFacts<'_>>,
    ) -> Self {
        let authorization = &inbound.authorization;
        let audits = !authorization.audit.is_empty() || authorization.gates.iter().any(|gate| gate.audit);
        let logs = worker.access.is_some();
        let audited_by = (logs && audits)
            .then(|| inbound.audited_by(connection, request))
            .flatten();
        let tried = inbound.tried(connection, request, &mut NoTrace);
        if let Some(AuthorizationDecision::Refused { reason, policy, .. }) = tried {
            count(worker, policy, reason);
        }
        Self {
            audited_by: audited_by.map(|policy| name(policy).into()),
            dry_run: tried.filter(|_| logs).map(|decision| words(&decision).into()),
        }
    }

    /// Adds them to the log's line.
    pub(crate) fn tell(self, names: &mut Names) {
        (names.audited_by, names.dry_run) = (self.audited_by, self.dry_run);
    }
}

fn count(worker: &Worker, policy: Option<&ObjectRef>, reason: Reason) {
    let policy = policy.map(name).unwrap_or_default();
    let labels = Labels::new(&[("policy", &policy), ("reason", reason.id())]);
    worker.shard.counter(&DENIED, &labels).increment();
}

fn name(policy: &ObjectRef) -> String {
    format!("{} {}/{}", policy.kind, policy.namespace, policy.name)
}

fn words(decision: &AuthorizationDecision<'_>) -> String {
    match decision {
        AuthorizationDecision::Allowed { .. } => "allowed".to_owned(),
        AuthorizationDecision::Refused {
            policy: Some(policy),
            rule: Some(rule),
            ..
        } => format!("denied by {} rule {rule}", name(policy)),
        AuthorizationDecision::Refused {
            policy: Some(policy), ..
        } => format!("denied, {} does not allow it", name(policy)),
        AuthorizationDecision::Refused { policy: None, .. } => "denied, no policy allows it".to_owned(),
    }
}
