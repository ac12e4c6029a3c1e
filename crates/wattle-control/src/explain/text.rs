//! An explanation for people.

use std::fmt;

use wattle_model::Reason;

use super::{Answer, BackendStep, Explanation, RouteStep, TraceLine, WorkloadStep};

/// The answer in short.
pub(super) fn answer(route: &RouteStep, backends: &[BackendStep]) -> Answer {
    match route.outcome.as_str() {
        "redirect" => Answer {
            allowed: true,
            status: None,
            reason: None,
            text: format!("redirected → {}", route.detail),
        },
        "respond" => Answer {
            allowed: true,
            status: None,
            reason: None,
            text: format!("answered by the rule → {}", route.detail),
        },
        "fault" => Answer {
            allowed: false,
            status: None,
            reason: Some(Reason::FaultInjected.id().to_owned()),
            text: format!("a fault is injected → {}", route.detail),
        },
        "forward" if backends.is_empty() => Answer {
            allowed: true,
            status: None,
            reason: None,
            text: format!("allowed → {}", route.detail),
        },
        "refuse" => refused(&route.detail, None),
        _ => forwarded(backends),
    }
}

/// Everything is refused, for one reason.
fn refused(reason: &str, by: Option<&str>) -> Answer {
    let status = Reason::from_id(reason).map(Reason::status);
    let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
    let shown = status.map(|status| format!("{status} ")).unwrap_or_default();
    Answer {
        allowed: false,
        status,
        reason: Some(reason.to_owned()),
        text: format!("refused {shown}{reason}{by}"),
    }
}

fn forwarded(backends: &[BackendStep]) -> Answer {
    let drawn: Vec<_> = backends.iter().filter(|backend| backend.percent > 0.0).collect();
    let verdicts: Vec<_> = drawn.iter().map(|backend| verdict(backend)).collect();
    if let Some((reason, by)) = verdicts.first().cloned().flatten()
        && verdicts
            .iter()
            .all(|verdict| verdict.as_ref().is_some_and(|(other, _)| *other == reason))
    {
        return refused(&reason, by.as_deref());
    }
    let part = |(backend, verdict): (&&BackendStep, &Option<(String, Option<String>)>)| {
        let share = if drawn.len() > 1 {
            format!(" {}%", round(backend.percent))
        } else {
            String::new()
        };
        match verdict {
            None => format!("{}{share}", backend.name),
            Some((reason, _)) => format!("{}{share} (refused {reason})", backend.name),
        }
    };
    let parts: Vec<_> = drawn.iter().zip(&verdicts).map(part).collect();
    let allowed = verdicts.iter().any(Option::is_none);
    let word = if allowed { "allowed" } else { "refused" };
    Answer {
        allowed,
        status: None,
        reason: None,
        text: format!("{word} → {}", parts.join(", ")),
    }
}

/// Why a backend's part is refused, and by what; `None` when some of its workloads let it in.
fn verdict(backend: &BackendStep) -> Option<(String, Option<String>)> {
    if let Some(problem) = &backend.problem {
        return Some((problem.clone(), None));
    }
    let mut workloads = backend
        .workloads
        .iter()
        .filter(|workload| workload.health != "unhealthy");
    let first = workloads.next()?;
    if first.allowed || workloads.any(|workload| workload.allowed) {
        return None;
    }
    Some((first.reason.clone().unwrap_or_default(), first.policy.clone()))
}

fn round(percent: f64) -> f64 {
    (percent * 10.0).round() / 10.0
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.answer.text)?;
        writeln!(f)?;
        field(f, 0, "source", &self.who())?;
        let headers: Vec<_> = self
            .request
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let with = if headers.is_empty() {
            String::new()
        } else {
            format!(" with {}", headers.join(", "))
        };
        field(
            f,
            0,
            "request",
            &format!("{} {}{with}", self.request.method, self.request.url),
        )?;
        field(f, 0, "destination", &self.whereto())?;
        field(f, 0, "route", &said_route(&self.route))?;
        for filter in self.route.filters.iter().chain(&self.route.timeouts) {
            field(f, 0, "", filter)?;
        }
        steps(f, 2, &self.route.trace)?;
        self.backends
            .iter()
            .try_for_each(|backend| fmt_backend(f, backend))?;
        self.notes.iter().try_for_each(|note| field(f, 0, "note", note))
    }
}

impl Explanation {
    fn who(&self) -> String {
        let identity = self
            .source
            .identity
            .as_deref()
            .unwrap_or("no identity, plaintext");
        match self.source.workload.as_str() {
            "" => identity.to_owned(),
            workload => format!("{workload} ({identity}, address {})", self.source.address),
        }
    }

    fn whereto(&self) -> String {
        let destination = &self.destination;
        let address = destination.address.as_deref().unwrap_or("no virtual address");
        match &destination.service {
            Some(service) => format!(
                "Service {service} port {} ({address}, protocol {})",
                destination.port, destination.protocol
            ),
            None => format!(
                "{}, no Service of the mesh (protocol {})",
                destination.name, destination.protocol
            ),
        }
    }
}

fn said_route(route: &RouteStep) -> String {
    let rule = match (&route.rule, route.outcome.as_str()) {
        (Some(rule), _) => rule.clone(),
        (None, "refuse") => "no rule matches".to_owned(),
        (None, _) => "no rules, the Service itself".to_owned(),
    };
    match route.detail.as_str() {
        "" => rule,
        detail => format!("{rule}, {} {detail}", route.outcome),
    }
}

fn fmt_backend(f: &mut fmt::Formatter<'_>, backend: &BackendStep) -> fmt::Result {
    writeln!(f)?;
    let problem = backend
        .problem
        .as_ref()
        .map(|problem| format!(", refused {problem}"))
        .unwrap_or_default();
    field(
        f,
        0,
        "backend",
        &format!("{} {}%{problem}", backend.name, round(backend.percent)),
    )?;
    for filter in backend.filters.iter().chain(&backend.policy) {
        field(f, 0, "", filter)?;
    }
    for place in &backend.outside {
        field(f, 2, "outside", place)?;
    }
    backend
        .workloads
        .iter()
        .try_for_each(|workload| fmt_workload(f, workload))
}

fn fmt_workload(f: &mut fmt::Formatter<'_>, workload: &WorkloadStep) -> fmt::Result {
    field(
        f,
        2,
        "workload",
        &format!(
            "{} ({}, {})",
            workload.workload, workload.address, workload.health
        ),
    )?;
    let carried = if workload.mtls { "mutual TLS" } else { "plaintext" };
    field(f, 2, "transport", &format!("{carried}, {}", workload.mode))?;
    let by = workload
        .policy
        .as_ref()
        .map(|policy| format!(" by {policy}"))
        .unwrap_or_default();
    let verdict = match &workload.reason {
        None => format!("allowed{by}"),
        Some(reason) => format!("refused {reason}{by}"),
    };
    field(f, 2, "verdict", &verdict)?;
    steps(f, 4, &workload.trace)
}

fn field(f: &mut fmt::Formatter<'_>, indent: usize, name: &str, value: &str) -> fmt::Result {
    writeln!(f, "{:indent$}{name:<width$} {value}", "", width = 13 - indent)
}

fn steps(f: &mut fmt::Formatter<'_>, indent: usize, trace: &[TraceLine]) -> fmt::Result {
    trace.iter().try_for_each(|line| {
        let sign = match line.verdict.as_str() {
            "matched" => "✓",
            "refused" => "×",
            _ => "·",
        };
        writeln!(f, "{:indent$}{sign} {}: {}", "", line.subject, line.detail)
    })
}
