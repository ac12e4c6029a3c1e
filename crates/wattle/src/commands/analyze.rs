//! `wattle analyze`: what is wrong with manifests, or does not do what their writer may expect.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Serialize;
use wattle_control::view::DiagnosticView;

use crate::cli::Shared;
use crate::failure::Advise as _;
use crate::mesh::ask;
use crate::output;

/// Arguments of `wattle analyze`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code 0 if nothing is found at or above --fail-on, 1 otherwise.")]
pub(crate) struct Arguments {
    /// Directory of manifests; without it the running mesh
    directory: Option<PathBuf>,
    /// The least severity that makes the exit code 1
    #[arg(long, value_enum, default_value_t = Level::Error, value_name = "SEVERITY")]
    fail_on: Level,
    /// Show only findings with this code; may be given several times
    #[arg(long = "code", value_name = "CODE")]
    codes: Vec<String>,
    /// Show no findings below this severity
    #[arg(long, value_enum, default_value_t = Level::Info, value_name = "SEVERITY")]
    least: Level,
}

/// Severity of a finding, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    fn of(finding: &DiagnosticView) -> Self {
        match finding.severity.as_str() {
            "error" => Self::Error,
            "warning" => Self::Warning,
            _ => Self::Info,
        }
    }
}

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    findings: Vec<DiagnosticView>,
    errors: usize,
    warnings: usize,
    infos: usize,
}

/// Prints what was found, as a reader goes through files.
pub(crate) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let found = match &arguments.directory {
        Some(directory) => offline(directory)?,
        None => {
            let place = super::mesh(shared)?;
            super::block_on(ask::get(&place.admin_socket(), "/diagnostics"))?
        }
    };
    let report = Report::new(found, arguments);
    let well = report
        .findings
        .iter()
        .all(|finding| Level::of(finding) < arguments.fail_on);
    output::show(shared.output, &report, text)?;
    Ok(super::verdict(well))
}

/// Everything there is to say about the manifests of a directory.
fn offline(directory: &Path) -> anyhow::Result<Vec<DiagnosticView>> {
    let there = std::fs::read_dir(directory).map(drop);
    there
        .map_err(|error| anyhow::anyhow!("cannot read {}: {error}", directory.display()))
        .advise("cannot analyze the manifests", "name a directory of YAML files")?;
    let (_, diagnostics) = wattle_control::offline::load(directory);
    Ok(diagnostics.iter().map(DiagnosticView::from).collect())
}

impl Report {
    fn new(found: Vec<DiagnosticView>, arguments: &Arguments) -> Self {
        let shown = |finding: &DiagnosticView| {
            Level::of(finding) >= arguments.least
                && (arguments.codes.is_empty() || arguments.codes.contains(&finding.code))
        };
        let findings: Vec<_> = found.into_iter().filter(shown).collect();
        let count = |level| {
            findings
                .iter()
                .filter(|finding| Level::of(finding) == level)
                .count()
        };
        Self {
            errors: count(Level::Error),
            warnings: count(Level::Warning),
            infos: count(Level::Info),
            findings,
        }
    }
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        let _ = writeln!(out, "{} [{}] {}", finding.severity, finding.code, finding.text);
    }
    let Report {
        errors,
        warnings,
        infos,
        ..
    } = report;
    let _ = match errors + warnings + infos {
        0 => writeln!(out, "nothing to say"),
        _ => writeln!(out, "{errors} errors, {warnings} warnings, {infos} notes"),
    };
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn arguments() -> Arguments {
        Arguments {
            directory: None,
            fail_on: Level::Error,
            codes: Vec::new(),
            least: Level::Info,
        }
    }

    fn found() -> Vec<DiagnosticView> {
        let service = r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
            "spec": {"selector": {"app": "nobody"}, "ports": [{"port": 80}]}}"#;
        let route = r#"{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "r"},
            "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": "missing"}]}}"#;
        let directory = tempfile::tempdir().unwrap();
        let manifests = format!("{service}\n---\n{route}\n");
        std::fs::write(directory.path().join("mesh.yaml"), manifests).unwrap();
        offline(directory.path()).unwrap()
    }

    #[test]
    fn each_finding_has_a_code_and_the_place_it_is_at() {
        let report = Report::new(found(), &arguments());
        assert!(report.warnings + report.errors >= 2, "{report:?}");
        let text = text(&report);
        assert!(
            text.contains("[selects-nothing]") && text.contains("mesh.yaml:2:"),
            "{text}"
        );
    }

    #[test]
    fn findings_are_narrowed_by_code_and_severity() {
        let one = Arguments {
            codes: vec!["selects-nothing".to_owned()],
            ..arguments()
        };
        assert_eq!(Report::new(found(), &one).findings.len(), 1);
        let errors = Arguments {
            least: Level::Error,
            ..arguments()
        };
        assert_eq!(Report::new(found(), &errors).warnings, 0);
    }

    #[test]
    fn a_directory_that_is_not_there_is_said_so() {
        assert!(offline(Path::new("/nowhere/at/all")).is_err());
    }
}
