//! Whether a running mesh is well.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::mesh::view::{DiagnosticView, ProxyStatus, Status as ControlStatus};
use crate::mesh::{Place, ask};
use crate::supervisor::api::MeshView;
use crate::supervisor::status::{Exit, Phase, Status};
use crate::view::number::seconds;

use super::{Finding, Group};

/// Less left of a certificate than this is worth a warning, in seconds: its renewal should have come by then.
const SHORT_SECS: u64 = 6 * 3600;

/// Findings listed one by one in a group, at most; the rest are counted.
const MAX_LISTED: usize = 20;

/// Asks the supervisor and the control plane.
pub(super) async fn check(place: &Place) -> anyhow::Result<Vec<Group>> {
    let mesh: MeshView = ask::get(&place.supervisor_socket(), "/mesh").await?;
    let processes: Vec<Status> = ask::get(&place.supervisor_socket(), "/processes").await?;
    let mut groups = vec![Group {
        title: format!("mesh {}", mesh.name),
        findings: processes_findings(&processes),
    }];
    match ask::get::<ControlStatus>(&place.admin_socket(), "/status").await {
        Ok(control) => {
            let diagnostics: Vec<DiagnosticView> = ask::get(&place.admin_socket(), "/diagnostics")
                .await
                .unwrap_or_default();
            groups.push(Group {
                title: "control plane".to_owned(),
                findings: control_findings(&control, &mesh, now()),
            });
            groups.push(Group {
                title: "proxies".to_owned(),
                findings: proxies_findings(&control.proxies, &processes),
            });
            groups.push(Group {
                title: "configuration".to_owned(),
                findings: config_findings(&diagnostics),
            });
        }
        Err(error) => {
            let sentence = format!("the control plane does not answer: {error:#}");
            let hint = format!("look into {}", place.logs().join("control.log").display());
            let findings = vec![Finding::failed("control", sentence, hint)];
            groups.push(Group {
                title: "control plane".to_owned(),
                findings,
            });
        }
    }
    Ok(groups)
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// What is wrong one by one, and what is well in one line.
fn gather(well: Finding, wrong: Vec<Finding>) -> Vec<Finding> {
    if wrong.is_empty() {
        return vec![well];
    }
    let more = wrong.len().saturating_sub(MAX_LISTED);
    let mut listed: Vec<Finding> = wrong.into_iter().take(MAX_LISTED).collect();
    if more > 0 {
        listed.push(Finding::failed(
            &well.id,
            format!("{more} more are not listed"),
            "mend those above first",
        ));
    }
    listed
}

fn processes_findings(processes: &[Status]) -> Vec<Finding> {
    let well = Finding::ok(
        "processes",
        format!(
            "all {} processes are ready or have finished well",
            processes.len()
        ),
    );
    gather(well, processes.iter().filter_map(process_finding).collect())
}

fn process_finding(process: &Status) -> Option<Finding> {
    let note = process.note.as_deref().unwrap_or("no reason is known");
    let name = process.name();
    let hint = format!("look into {}", process.log.display());
    match process.phase {
        Phase::Ready | Phase::Stopping => None,
        Phase::Finished if process.exit.is_some_and(Exit::is_success) => None,
        Phase::Finished => {
            let code = process.exit.map_or(1, |exit| exit.code);
            Some(Finding::failed(
                "processes",
                format!("{name} finished with {code}"),
                hint,
            ))
        }
        Phase::Stopped => {
            let hint = "start it again by POST /processes/NAMESPACE/NAME/start on the supervisor's socket";
            Some(Finding::warning("processes", format!("{name} was stopped"), hint))
        }
        Phase::Waiting | Phase::Preparing | Phase::Starting => {
            let sentence = format!("{name} is not ready: {} ({note})", process.phase.as_str());
            Some(Finding::failed("processes", sentence, hint))
        }
        Phase::BackingOff | Phase::Failed => Some(Finding::failed(
            "processes",
            format!("{name} is {}: {note}", process.phase.as_str()),
            hint,
        )),
    }
}

fn control_findings(control: &ControlStatus, mesh: &MeshView, now: u64) -> Vec<Finding> {
    let ready = if control.ready {
        let age = seconds(control.uptime_secs);
        Finding::ok(
            "control",
            format!("the control plane {} answers, since {age}", control.version),
        )
    } else {
        Finding::failed(
            "control",
            "the control plane has not read its sources yet",
            "wait a moment",
        )
    };
    let mut findings = vec![ready];
    if mesh.control_restarts > 0 {
        let sentence = format!(
            "the control plane was started again {} times",
            mesh.control_restarts
        );
        findings.push(Finding::warning(
            "control-restarts",
            sentence,
            "look into logs/control.log",
        ));
    }
    findings.push(certificate(
        "authority",
        "the authority",
        control.authority_not_after_secs,
        now,
    ));
    findings.push(certificate(
        "control-certificate",
        "the control plane's certificate",
        control.certificate_not_after_secs,
        now,
    ));
    findings
}

fn certificate(id: &str, subject: &str, not_after: u64, now: u64) -> Finding {
    match not_after.saturating_sub(now) {
        0 => Finding::failed(
            id,
            format!("{subject} has expired"),
            "check the clock, then restart the control plane",
        ),
        left if left < SHORT_SECS => {
            let sentence = format!("{subject} is valid for {} only", seconds(left));
            Finding::warning(
                id,
                sentence,
                "look into logs/control.log for why it is not renewed",
            )
        }
        left => Finding::ok(id, format!("{subject} is valid for {}", seconds(left))),
    }
}

fn proxies_findings(proxies: &[ProxyStatus], processes: &[Status]) -> Vec<Finding> {
    let mut wrong: Vec<Finding> = proxies.iter().filter_map(sync_finding).collect();
    let running = processes.iter().filter(|process| process.address.is_some());
    let with_proxy: Vec<&Status> = running.filter(|process| process.proxy.is_some()).collect();
    for process in &with_proxy {
        let name = process.name();
        if !proxies.iter().any(|proxy| proxy.node == name.to_string()) {
            let hint = process
                .proxy_log
                .as_ref()
                .map_or_else(String::new, |log| log.display().to_string());
            let sentence = format!("the proxy of {name} is not connected to the control plane");
            wrong.push(Finding::failed("proxies", sentence, format!("look into {hint}")));
        }
    }
    let well = format!(
        "all {} proxies are connected and hold the newest configuration",
        with_proxy.len()
    );
    let mut findings = gather(Finding::ok("proxies", well), wrong);
    findings.push(capture_finding(&with_proxy));
    findings
}

fn sync_finding(proxy: &ProxyStatus) -> Option<Finding> {
    let refused = proxy.resources.iter().find(|resource| resource.refused.is_some());
    if let Some(resource) = refused {
        let why = resource.refused.as_deref().unwrap_or_default();
        let sentence = format!(
            "{} refused {} {}: {why}",
            proxy.node, resource.kind, resource.name
        );
        return Some(Finding::failed(
            "proxies",
            sentence,
            "look at the object behind it with `wattle get`",
        ));
    }
    let pending = &proxy.pending;
    (!proxy.synced).then(|| {
        let sentence = format!("{} has not acknowledged {pending} resources yet", proxy.node);
        Finding::warning("proxies", sentence, "check again in a moment")
    })
}

/// A proxy that is ready listens where traffic is redirected to; without it the redirection refuses all traffic.
fn capture_finding(with_proxy: &[&Status]) -> Finding {
    let is_ready = |process: &&&Status| process.proxy.as_ref().is_some_and(|proxy| proxy.ready);
    let down: Vec<String> = with_proxy
        .iter()
        .filter(|process| !is_ready(process))
        .map(|process| process.name().to_string())
        .collect();
    if down.is_empty() {
        return Finding::ok("capture", "every captured workload has a proxy that answers");
    }
    let sentence = format!("captured, but without a proxy that answers: {}", down.join(", "));
    Finding::failed(
        "capture",
        sentence,
        "look into the proxies' logs with `wattle get processes -o json`",
    )
}

fn config_findings(diagnostics: &[DiagnosticView]) -> Vec<Finding> {
    let finding = |one: &DiagnosticView| {
        let hint = if one.hint.is_empty() {
            "mend the object".to_owned()
        } else {
            one.hint.clone()
        };
        let object = one
            .object
            .as_deref()
            .map(|object| format!("{object}: "))
            .unwrap_or_default();
        let field = if one.field.is_empty() {
            String::new()
        } else {
            format!("{}: ", one.field)
        };
        let sentence = format!("{}:{}: {object}{field}{}", one.file, one.line, one.reason);
        match one.severity.as_str() {
            "error" => Some(Finding::failed(&one.code, sentence, hint)),
            "warning" => Some(Finding::warning(&one.code, sentence, hint)),
            _ => None,
        }
    };
    gather(
        Finding::ok("configuration", "every object is in force as written"),
        diagnostics.iter().filter_map(finding).collect(),
    )
}

#[cfg(test)]
mod tests;
