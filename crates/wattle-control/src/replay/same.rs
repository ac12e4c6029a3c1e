//! Whether two workloads' rules are the same but for the places they are written at.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use wattle_model::{Authorization, Inbound, ObjectRef, Policy};

/// Equal for rules that decide alike, as far as the same program made both.
pub(super) fn digest(inbound: &Inbound) -> String {
    let mut authorization = inbound.authorization.clone();
    authorization.audit = Vec::new();
    authorization.dry_run = None;
    unplace(&mut authorization);
    let modes: Vec<_> = inbound.ports.iter().map(|port| (port.port, port.mtls)).collect();
    let tokens: Vec<_> = inbound
        .tokens
        .iter()
        .map(|rule| (&rule.issuer, &rule.audiences, &rule.keys, &rule.locations))
        .collect();
    let mut hasher = DefaultHasher::new();
    format!("{authorization:?} {modes:?} {:?} {tokens:?}", inbound.mtls).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn unplace(authorization: &mut Authorization) {
    for external in &mut authorization.external {
        unplace_all(&mut external.policies);
    }
    for gate in &mut authorization.gates {
        unplaced(&mut gate.origin);
        unplace_all(&mut gate.allow);
        for route in &mut gate.routes {
            unplaced(&mut route.origin.object);
            unplace_all(&mut route.allow);
        }
    }
    unplace_all(&mut authorization.deny);
    unplace_all(&mut authorization.allow);
}

fn unplace_all(policies: &mut [Policy]) {
    policies
        .iter_mut()
        .for_each(|policy| unplaced(&mut policy.origin));
}

fn unplaced(origin: &mut ObjectRef) {
    origin.file = "".into();
    origin.line = 0;
}
