//! `wattle explain`: what would happen to a request, and why.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Map, Value};
use wattle_control::explain::{Explanation, Question, explain};

use super::offline::{Loaded, Offline};
use crate::cli::Shared;
use crate::failure::Advise as _;
use crate::mesh::{Place, ask};
use crate::output;

/// Arguments of `wattle explain`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0 if the request is let in or redirected, 1 if it is refused or cannot be explained."
)]
pub(crate) struct Arguments {
    /// Who sends it: NAMESPACE/WORKLOAD, a workload of namespace default, or a SPIFFE name
    from: String,
    /// Method, or CONNECT for a TCP connection
    method: String,
    /// Where to, such as http://reviews:9080/reviews/0 or tcp://redis:6379
    url: String,
    /// A header, NAME:VALUE; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Port instead of the URL's
    #[arg(long)]
    port: Option<u16>,
    /// A claim of a token that it brings and that is valid, NAME=VALUE; may be given several times, also for one name
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, String)>,
    /// File with all claims of the token, as a JSON object
    #[arg(long, value_name = "FILE")]
    token_claims: Option<PathBuf>,
    #[command(flatten)]
    offline: Offline,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| format!("expected NAME:VALUE, found `{text}`"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn claim(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| format!("expected NAME=VALUE, found `{text}`"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The claims of the token as one object: those of the file, and those that are given beside it; several values of one
/// name become a list. `None` without a token.
fn claims(arguments: &Arguments) -> anyhow::Result<Option<String>> {
    let mut members = match &arguments.token_claims {
        None if arguments.claims.is_empty() => return Ok(None),
        None => Map::new(),
        Some(file) => {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            serde_json::from_str(&text)
                .with_context(|| format!("{} is not a JSON object with claims", file.display()))?
        }
    };
    let mut given: Map<String, Value> = Map::new();
    for (name, value) in &arguments.claims {
        let value = Value::from(value.as_str());
        match given.get_mut(name) {
            None => _ = given.insert(name.clone(), value),
            Some(Value::Array(list)) => list.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    members.extend(given);
    Ok(Some(Value::Object(members).to_string()))
}

/// Prints the explanation; its answer is the exit code.
pub(crate) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let question = Question {
        from: arguments.from.clone(),
        method: arguments.method.clone(),
        url: arguments.url.clone(),
        headers: arguments.headers.clone(),
        port: arguments.port,
        claims: claims(arguments)?,
    };
    let explanation = match &arguments.offline.dir {
        Some(directory) => by_manifests(directory, &arguments.offline, &question)?,
        None => running(&super::mesh(shared)?, &question)?,
    };
    output::show(shared.output, &explanation, ToString::to_string)?;
    Ok(super::verdict(explanation.answer.allowed))
}

/// From manifests alone: every process counts as if it ran.
fn by_manifests(directory: &Path, offline: &Offline, question: &Question) -> anyhow::Result<Explanation> {
    let Loaded { mut mesh, notes } = offline.load(directory, None)?;
    let explanation = explain(&mut mesh, question).advise(
        "cannot explain the request",
        "list workloads with `wattle get processes`",
    )?;
    Ok(Explanation { notes, ..explanation })
}

/// As the control plane sees it now.
pub(super) fn running(place: &Place, question: &Question) -> anyhow::Result<Explanation> {
    let path = format!("/explain?{}", question.to_query());
    let asked = super::block_on(ask::get(&place.admin_socket(), &path));
    asked.advise(
        "cannot explain the request",
        "list workloads with `wattle get processes`",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn manifests_are_explained_for_the_mesh_that_is_told_and_what_is_assumed_is_said() {
        let process = r#"{"apiVersion": "wattle.io/v1alpha1", "kind": "Process", "metadata": {"name": "web"},
            "spec": {"command": ["web"], "serviceAccountName": "web"}}"#;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("mesh.yaml"), process).unwrap();
        let question = Question {
            from: "web".to_owned(),
            method: "GET".to_owned(),
            url: "http://192.0.2.1/".to_owned(),
            ..Question::default()
        };
        let explained = |offline: &Offline| by_manifests(directory.path(), offline, &question).unwrap();
        let mut offline = Offline::default();
        offline.assumed.trust_domain = Some("told".to_owned());
        let answer = explained(&offline);
        assert_eq!(
            answer.source.identity.as_deref(),
            Some("spiffe://told/ns/default/sa/web")
        );
        assert_eq!(
            answer.notes,
            ["assumed of the mesh: root namespace wattle-system"]
        );
        let text = explained(&Offline::default()).to_string();
        assert!(
            text.contains("assumed of the mesh: trust domain cluster.local"),
            "{text}"
        );
    }

    #[test]
    fn claims_become_one_object_and_several_values_of_a_name_a_list() {
        use crate::cli::{Cli, Command};
        use clap::Parser as _;

        let mut line = vec!["wattle", "explain", "a", "GET", "http://b"];
        let asked = |line: &[&str]| {
            let Ok(Cli {
                command: Command::Explain(arguments),
                ..
            }) = Cli::try_parse_from(line)
            else {
                panic!("a question")
            };
            claims(&arguments).expect("claims")
        };
        assert_eq!(asked(&line), None);
        for more in ["iss=https://a", "group=x", "group=y=z", "group=w"] {
            line.extend(["--claim", more]);
        }
        let expected = r#"{"group":["x","y=z","w"],"iss":"https://a"}"#;
        assert_eq!(asked(&line).as_deref(), Some(expected));
    }

    #[test]
    fn a_header_is_a_name_and_a_value() {
        assert_eq!(
            header("end-user: jason"),
            Ok(("end-user".to_owned(), "jason".to_owned()))
        );
        assert_eq!(header("a:b:c"), Ok(("a".to_owned(), "b:c".to_owned())));
        assert!(header("nothing").is_err());
    }
}
