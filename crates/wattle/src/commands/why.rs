//! `wattle why`: why something was refused, and what would have to change.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use http::Method;
use serde_json::Value;
use wattle_control::why::{Why, why};
use wattle_identity::SpiffeId;
use wattle_telemetry::{Refusal, RefusedRequest};

use super::offline::{Loaded, Offline};
use crate::cli::Shared;
use crate::failure::{Advise as _, Failure};
use crate::mesh::ask;
use crate::output;

/// Longest line that is read from standard input, bytes.
const MAX_LINE: u64 = 1 << 20;

/// Arguments of `wattle why`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code 0 if an answer was found, 1 otherwise.")]
pub(crate) struct Arguments {
    /// Id of the refusal, from header `wattle-refusal` or `refusal_id` of the access log; - reads a line of the log
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

/// Finds the refusal and prints what is said of it.
pub(crate) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let refusal = found(arguments, shared)?;
    let answer = match &arguments.offline.dir {
        Some(directory) => by_manifests(directory, &arguments.offline, &refusal)?,
        None => running(shared, &refusal)?,
    };
    output::show(shared.output, &answer, ToString::to_string)?;
    Ok(ExitCode::SUCCESS)
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
        (None, Some("-")) => Some(standard_input()?),
        (None, _) => None,
    };
    let Some(line) = line else {
        let id = arguments.id.as_deref().unwrap_or_default();
        return recorded(arguments, shared, id)?.ok_or_else(|| unknown(id));
    };
    let line: Value = serde_json::from_str(&line).context("the line of the log is not JSON")?;
    let id = line["refusal_id"].as_str().unwrap_or_default();
    // Without its record the line itself says some of it.
    let kept = match id {
        "" => None,
        id => recorded(arguments, shared, id).unwrap_or_default(),
    };
    kept.map_or_else(|| of_line(&line), Ok)
}

fn unknown(id: &str) -> anyhow::Error {
    Failure::error(
        format!("no proxy remembers refusal {id}"),
        "give the line of the access log with `--log-line`: a proxy keeps 256 refusals per worker until it ends",
    )
}

fn standard_input() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin()
        .take(MAX_LINE)
        .read_to_string(&mut line)
        .context("cannot read standard input")?;
    Ok(line.lines().next().unwrap_or_default().to_owned())
}

fn recorded(arguments: &Arguments, shared: &Shared, id: &str) -> anyhow::Result<Option<Refusal>> {
    let all: Vec<Refusal> = match &arguments.facts {
        Some(file) => {
            let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            serde_json::from_slice(&text)
                .with_context(|| format!("{} is not a list of refusals", file.display()))?
        }
        None => {
            let socket = super::mesh(shared)?.supervisor_socket();
            let answer = ask::unix(&socket, Method::GET, "/refusals", bytes::Bytes::new());
            let (_, body) = super::block_on(answer)?;
            serde_json::from_slice(&body).context("cannot read what the proxies refused")?
        }
    };
    Ok(all.into_iter().find(|refusal| refusal.id == id))
}

/// What a line says by itself.
fn of_line(line: &Value) -> anyhow::Result<Refusal> {
    let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let address = |name: &str| -> anyhow::Result<SocketAddr> {
        text(name)
            .parse()
            .with_context(|| format!("field {name} of the line is not an address: `{}`", text(name)))
    };
    let reason = text("response_code_details");
    if reason.is_empty() || reason == "via_upstream" {
        bail!("the line is not about a refusal by this proxy: response_code_details is `{reason}`");
    }
    let peer = Some(text("source_principal")).filter(|peer| !peer.is_empty());
    let request = (text("protocol") != "TCP").then(|| RefusedRequest {
        method: text("method"),
        scheme: "http".to_owned(),
        authority: text("authority"),
        path: text("path"),
        ..RefusedRequest::default()
    });
    Ok(Refusal {
        id: String::new(),
        time: text("start_time"),
        reason,
        detail: text("reason_detail"),
        policy: String::new(),
        workload: String::new(),
        instance: String::new(),
        peer,
        downstream: address("downstream_remote_address")?,
        local: address("downstream_local_address")?,
        sni: Some(text("requested_server_name")).filter(|name| !name.is_empty()),
        request,
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
        let line = json!({"response_code_details": "via_upstream"});
        assert!(
            of_line(&line)
                .unwrap_err()
                .to_string()
                .contains("response_code_details")
        );
        let line = json!({"response_code_details": "policy_denied"});
        let error = of_line(&line).unwrap_err().to_string();
        assert!(error.contains("downstream_remote_address"), "{error}");
    }
}
