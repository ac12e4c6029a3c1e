//! What happens in the demo and when, as data. The command does it; nothing here touches a mesh.

use crate::manifests::{NAMESPACE, Weights};
use std::time::Duration;

/// How long the tour takes when the demo has no end.
pub const TOUR: Duration = Duration::from_secs(60);
/// The shortest demo in which every step can be seen.
pub const SHORTEST: Duration = Duration::from_secs(10);

/// A step of the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When, from the moment that all processes are ready and load runs.
    pub at: Duration,
    /// The name of the load's phase that begins once the step's action is in force; goes into the phase file.
    pub phase: &'static str,
    /// What to tell the audience, one line.
    pub title: &'static str,
    /// What to do.
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing but watch, with the weights that are in force.
    Watch(Weights),
    /// Write the route with these weights and wait until the proxies have it.
    Shift(Weights),
    /// Kill this copy of a process with SIGKILL; the supervisor starts it again.
    Kill(Replica),
    /// Explain why this call is refused.
    Explain(Call),
}

/// One copy of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Namespace.
    pub namespace: &'static str,
    /// The Process.
    pub process: &'static str,
    /// Its copy, as `WATTLE_INSTANCE` names it.
    pub instance: &'static str,
}

/// A call that somebody makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Namespace of the caller.
    pub namespace: &'static str,
    /// The calling workload; its service account has the same name.
    pub from: &'static str,
    /// Method.
    pub method: &'static str,
    /// URL as the caller writes it.
    pub url: &'static str,
    /// The service it is meant for.
    pub destination: &'static str,
}

/// The name of the phase in which the canary is measured.
pub const STEADY: &str = "steady";
/// What the intruder tries first, and what the demo explains.
pub const DENIED: Call = Call {
    namespace: NAMESPACE,
    from: "intruder",
    method: "GET",
    url: "http://cart:9080/cart/visitor-1",
    destination: "cart",
};
/// Who is killed.
pub const VICTIM: Replica = Replica {
    namespace: NAMESPACE,
    process: "catalog",
    instance: "catalog-1",
};

const HALF: Weights = Weights { v1: 50, v2: 50 };
const ALL: Weights = Weights { v1: 0, v2: 100 };

/// The steps of a demo of this length, in order; shorter than [`SHORTEST`] counts as that.
///
/// Most of the time goes to the steady phase: 10 % of few requests would be a matter of luck.
pub fn steps(length: Duration) -> Vec<Step> {
    let length = length.max(SHORTEST);
    let step = |percent: u32, phase, title, action| Step {
        at: length * percent / 100,
        phase,
        title,
        action,
    };
    vec![
        step(
            0,
            STEADY,
            "reviews v2 gets one request in ten",
            Action::Watch(Weights::CANARY),
        ),
        step(
            45,
            "half",
            "the canary does well: half of the requests",
            Action::Shift(HALF),
        ),
        step(58, "all", "and all of them", Action::Shift(ALL)),
        step(
            70,
            "killed",
            "a copy of catalog is killed; nobody notices",
            Action::Kill(VICTIM),
        ),
        step(
            85,
            "explained",
            "the intruder asks for somebody's cart, and is refused",
            Action::Explain(DENIED),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_come_in_order_and_within_the_length() {
        for seconds in [1, 10, 20, 60, 3600] {
            let length = Duration::from_secs(seconds);
            let steps = steps(length);
            assert!(steps.is_sorted_by(|one, next| one.at < next.at), "{steps:?}");
            assert!(steps.iter().all(|step| step.at < length.max(SHORTEST)));
            assert_eq!((steps[0].at, steps[0].phase), (Duration::ZERO, STEADY));
        }
    }
}
