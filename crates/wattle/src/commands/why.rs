//! `wattle why`: why something was refused, and what would have to change.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use wattle_control::records::{self, LineError};
use wattle_control::why::{Why, why};
use wattle_identity::SpiffeId;
use wattle_model::Reason;
use wattle_telemetry::Refusal;

use super::offline::{Loaded, Offline};
use super::recorded;
use crate::cli::Shared;
use crate::failure::{Advise as _, Failure};
use crate::mesh::ask;
use crate::output;

/// Most refusals of one trace that are asked about, the newest first.
const MAX_OF_TRACE: usize = 20;

/// Arguments of `wattle why`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code 0 if an answer was found, 1 otherwise.")]
pub(crate) struct Arguments {
    /// Id of the refusal, from header `wattle-refusal` or `refusal_id` of the access log, or of the request's trace; - reads a line of the log
    #[arg(required_unless_present = "log_line", conflicts_with = "log_line")]
    id: Option<String>,
    /// A line of the access log, JSON
    #[arg(long, value_name = "JSON")]
    log_line: Option<String>,
    /// Look for it in this file, as `/refusals` of a proxy's admin pages gave it, instead of asking the proxies
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
    #[command(flatten)]
    offline: Offline,
}

/// What is said of the refusals of one trace.
#[derive(Debug, Serialize)]
struct OfTrace {
    trace_id: String,
    /// The newest first.
    refusals: Vec<Why>,
    /// Older ones, beyond the bound.
    left_out: usize,
}

/// Finds the refusal and prints what is said of it.
pub(crate) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    if let Some(trace) = arguments.id.as_deref().and_then(trace_of) {
        let answer = of_trace(trace, arguments, shared)?;
        output::show(shared.output, &answer, text_of_trace)?;
        return Ok(ExitCode::SUCCESS);
    }
    let refusal = found(arguments, shared)?;
    let answer = answered(&refusal, arguments, shared)?;
    output::show(shared.output, &answer, ToString::to_string)?;
    Ok(ExitCode::SUCCESS)
}

fn answered(refusal: &Refusal, arguments: &Arguments, shared: &Shared) -> anyhow::Result<Why> {
    match &arguments.offline.dir {
        Some(directory) => by_manifests(directory, &arguments.offline, refusal),
        None => running(shared, refusal),
    }
}

/// The id of a trace, alone or in a `traceparent`; the id of a refusal is half as long.
fn trace_of(id: &str) -> Option<&str> {
    let alone = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    wattle_telemetry::trace_id(id).or(alone.then_some(id))
}

fn of_trace(trace: &str, arguments: &Arguments, shared: &Shared) -> anyhow::Result<OfTrace> {
    let all = recorded::refusals(arguments.facts.as_deref(), shared)?;
    let all = newest_of(trace, all);
    if all.is_empty() {
        return Err(unknown(&format!("of trace {trace}")));
    }
    let asked = all.iter().take(MAX_OF_TRACE);
    let refusals: anyhow::Result<Vec<Why>> = asked
        .map(|refusal| answered(refusal, arguments, shared))
        .collect();
    Ok(OfTrace {
        trace_id: trace.to_owned(),
        refusals: refusals?,
        left_out: all.len().saturating_sub(MAX_OF_TRACE),
    })
}

/// Refusals of the trace, the newest first.
fn newest_of(trace: &str, all: Vec<Refusal>) -> Vec<Refusal> {
    let is_of = |refusal: &Refusal| {
        refusal
            .trace_id
            .as_deref()
            .is_some_and(|id| id.eq_ignore_ascii_case(trace))
    };
    let mut found: Vec<Refusal> = all.into_iter().filter(is_of).collect();
    found.sort_by(|a, b| b.time.cmp(&a.time));
    found
}

fn text_of_trace(answer: &OfTrace) -> String {
    let parts: Vec<String> = answer.refusals.iter().map(ToString::to_string).collect();
    let mut text = parts.join("\n");
    if answer.left_out > 0 {
        text.push_str(&format!(
            "\n{} older refusals of the trace are left out\n",
            answer.left_out
        ));
    }
    text
}

/// The workload's own name says the trust domain of the mesh that refused.
fn by_manifests(directory: &Path, offline: &Offline, refusal: &Refusal) -> anyhow::Result<Why> {
    let id = refusal.workload.parse::<SpiffeId>().ok();
    let Loaded { mut mesh, notes } = offline.load(directory, id.as_ref().map(SpiffeId::trust_domain))?;
    let mut answer = why(&mut mesh, refusal).advise(
        "cannot say why",
        "name the directory of the mesh that refused with `--dir`",
    )?;
    answer.notes.extend(notes);
    Ok(answer)
}

fn running(shared: &Shared, refusal: &Refusal) -> anyhow::Result<Why> {
    let socket = super::mesh(shared)?.admin_socket();
    let body = serde_json::to_vec(refusal)?;
    super::block_on(ask::post(&socket, "/why", body.into()))
        .advise("cannot say why", "list workloads with `wattle get processes`")
}

/// The record that is meant: by its id, else from what the line itself says.
fn found(arguments: &Arguments, shared: &Shared) -> anyhow::Result<Refusal> {
    let line = match (&arguments.log_line, arguments.id.as_deref()) {
        (Some(line), _) => Some(line.clone()),
        (None, Some("-")) => Some(recorded::first_line()?),
        (None, _) => None,
    };
    let facts = arguments.facts.as_deref();
    let Some(line) = line else {
        let id = arguments.id.as_deref().unwrap_or_default();
        return with_id(id, recorded::refusals(facts, shared)?).ok_or_else(|| unknown(id));
    };
    let line: Value = serde_json::from_str(&line).context("the line of the log is not JSON")?;
    let id = line["refusal_id"].as_str().unwrap_or_default();
    // Without its record the line itself says some of it.
    let kept = match id {
        "" => None,
        id => with_id(id, recorded::refusals(facts, shared).unwrap_or_default()),
    };
    kept.map_or_else(|| of_line(&line), Ok)
}

fn with_id(id: &str, all: Vec<Refusal>) -> Option<Refusal> {
    all.into_iter().find(|refusal| refusal.id == id)
}

fn unknown(id: &str) -> anyhow::Error {
    Failure::error(
        format!("no proxy remembers refusal {id}"),
        "give the line of the access log with `--log-line`: a proxy keeps 256 refusals per worker until it ends",
    )
}

/// What a line says by itself.
fn of_line(line: &Value) -> anyhow::Result<Refusal> {
    let reason = line["response_code_details"].as_str().unwrap_or_default();
    let record = match records::of_line(line) {
        Err(LineError::OtherSide) if line["refusal_id"].is_string() => {
            return Err(Failure::error(
                "the other side refused it, and its proxy does not remember it any more",
                "give the line of the called workload's own proxy",
            ));
        }
        record => record?,
    };
    if !is_refusal(reason) {
        bail!("the line is not about a refusal on the way in: response_code_details is `{reason}`");
    }
    Ok(record.facts)
}

/// Does a proxy turn away for it what comes to its workload?
fn is_refusal(reason: &str) -> bool {
    let known = Reason::from_id(reason);
    known.is_some_and(|reason| {
        matches!(
            reason,
            Reason::PolicyDenied
                | Reason::PolicyNotAllowed
                | Reason::MtlsRequired
                | Reason::TokenInvalid
                | Reason::ExternalDenied
                | Reason::ExternalFailure
                | Reason::RateLimited
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_of_the_log_says_who_and_what() {
        let line = json!({
            "start_time": "2026-01-01T00:00:00.000Z", "method": "POST", "path": "/pay", "authority": "web",
            "protocol": "HTTP/1.1", "response_code_details": "policy_denied", "reason_detail": null,
            "downstream_remote_address": "10.0.0.2:1234", "downstream_local_address": "10.0.0.3:80",
            "source_principal": "spiffe://td/ns/n/sa/b",
        });
        let refusal = of_line(&line).unwrap();
        assert_eq!(refusal.reason, "policy_denied");
        assert_eq!(refusal.peer.as_deref(), Some("spiffe://td/ns/n/sa/b"));
        assert_eq!(refusal.request.unwrap().path, "/pay");
    }

    #[test]
    fn a_line_about_something_else_is_refused_with_the_field() {
        let address = "10.0.0.2:1234";
        let line = json!({
            "response_code_details": "via_upstream", "downstream_remote_address": address, "downstream_local_address": address,
        });
        let error = of_line(&line).unwrap_err().to_string();
        assert!(error.contains("response_code_details"), "{error}");
        let line = json!({"response_code_details": "policy_denied"});
        let error = of_line(&line).unwrap_err().to_string();
        assert!(error.contains("downstream_remote_address"), "{error}");
    }

    #[test]
    fn a_line_of_the_calling_side_says_whose_line_to_give() {
        let line = json!({"reporter": "source", "refusal_id": "0123456789abcdef"});
        let error = of_line(&line).unwrap_err().to_string();
        assert!(error.contains("the other side refused it"), "{error}");
    }

    #[test]
    fn a_trace_is_told_by_its_id_alone_or_as_it_is_sent() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace_of(id), Some(id));
        assert_eq!(trace_of(&format!("00-{id}-00f067aa0ba902b7-01")), Some(id));
        assert_eq!(trace_of("0123456789abcdef"), None);
        assert_eq!(trace_of("-"), None);
    }

    #[test]
    fn refusals_of_a_trace_come_with_the_newest_first() {
        let line = json!({
            "response_code_details": "policy_denied",
            "downstream_remote_address": "10.0.0.2:1234", "downstream_local_address": "10.0.0.3:80",
        });
        let refusal = |time: &str, trace: Option<&str>| Refusal {
            time: time.to_owned(),
            trace_id: trace.map(str::to_owned),
            ..of_line(&line).unwrap()
        };
        let all = vec![
            refusal("1", Some("a")),
            refusal("3", Some("a")),
            refusal("2", Some("b")),
            refusal("4", None),
        ];
        let times: Vec<_> = newest_of("a", all)
            .into_iter()
            .map(|refusal| refusal.time)
            .collect();
        assert_eq!(times, ["3", "1"]);
    }
}
