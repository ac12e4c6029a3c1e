//! What an explanation comes to, in one line that is the same when the same happens.

use crate::explain::{BackendStep, Explanation, WorkloadStep};

/// The line: what is answered or forwarded, what is changed, and who lets it in.
pub(super) fn outcome(explanation: &Explanation) -> String {
    let route = &explanation.route;
    let mut parts = Vec::new();
    match route.outcome.as_str() {
        "forward" if explanation.backends.is_empty() => parts.push(route.detail.clone()),
        "forward" => parts.push(backends(&explanation.backends)),
        other => parts.push(format!("{other} {}", route.detail)),
    }
    parts.extend(route.filters.iter().cloned());
    parts.extend(route.timeouts.iter().cloned());
    parts.join("; ")
}

fn backends(backends: &[BackendStep]) -> String {
    let drawn = backends.iter().filter(|backend| backend.percent > 0.0);
    let said: Vec<_> = drawn.map(backend).collect();
    match said.is_empty() {
        true => "refuse no_backend".to_owned(),
        false => said.join(", "),
    }
}

fn backend(backend: &BackendStep) -> String {
    let percent = (backend.percent * 10.0).round() / 10.0;
    // What is written may change without its meaning.
    let name = if backend.id.is_empty() {
        &backend.name
    } else {
        &backend.id
    };
    let mut said = format!("{name} {percent}%");
    if let Some(problem) = &backend.problem {
        said.push_str(&format!(" (refused {problem})"));
    }
    let lines = backend.filters.iter().chain(
        backend
            .policy
            .iter()
            .filter(|line| !line.starts_with("policy of")),
    );
    for line in lines {
        said.push_str(&format!(" [{line}]"));
    }
    let mut verdicts: Vec<_> = backend.workloads.iter().map(verdict).collect();
    verdicts.extend(backend.outside.iter().cloned());
    verdicts.sort();
    verdicts.dedup();
    if !verdicts.is_empty() {
        said.push_str(&format!(" → {}", verdicts.join(", ")));
    }
    said
}

/// Workload, transport and verdict. Copies of a workload are told apart by no more than that.
fn verdict(workload: &WorkloadStep) -> String {
    let carried = if workload.mtls { "mutual TLS" } else { "plaintext" };
    match &workload.reason {
        None => format!("{} {carried}", workload.workload),
        Some(reason) => format!("{} {carried} refused {reason}", workload.workload),
    }
}
