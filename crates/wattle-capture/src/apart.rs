//! Holding programs apart: none signals, traces or reads the memory of a process that is not below its own.
//!
//! All programs of a local mesh share one pid namespace, and without root one user. A Landlock domain that scopes
//! signals keeps each to itself and its children, whatever its user; a domain forbids `ptrace` of those outside by
//! itself, and with it `/proc/PID/{mem,environ,maps}`. Files and sockets are left alone.

use std::io;

use landlock::{
    CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _,
    RulesetError, Scope,
};

/// Oldest kernel that can do it.
pub const OLDEST_KERNEL: &str = "6.12";

/// Says whether this kernel can.
pub fn is_possible() -> bool {
    domain(CompatLevel::HardRequirement).is_ok()
}

/// Confines this thread and all it starts from now on, where the kernel can.
///
/// The caller must hold CAP_SYS_ADMIN in its user namespace: the other way in, to give up gaining privileges, would
/// take set-user-id programs from the workload.
pub(crate) fn enter() -> io::Result<()> {
    let entered =
        domain(CompatLevel::BestEffort).and_then(|domain| domain.no_new_privs(false).restrict_self());
    entered.map(drop).map_err(io::Error::other)
}

fn domain(level: CompatLevel) -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .set_compatibility(level)
        .scope(Scope::Signal)?
        .create()
}
