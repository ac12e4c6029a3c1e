//! `wattle analyze`: what is wrong with manifests, or does not do what their writer may expect.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Serialize;
use wattle_compile::Settings;
use wattle_control::view::DiagnosticView;
use wattle_source::Directory;

use super::offline::Assumed;
use crate::cli::Shared;
use crate::failure::Advise as _;
use crate::mesh::ask;
use crate::output;

/// Arguments of `wattle analyze`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code 0 if nothing is found at or above --fail-on, 1 otherwise.")]
pub(crate) struct Arguments {
    /// Directory of manifests; without it the running mesh. After NAMESPACE= it is for objects of that namespace alone
    #[arg(value_name = "[NAMESPACE=]DIRECTORY", value_parser = super::manifests::parser())]
    dir: Option<Directory>,
    #[command(flatten)]
    assumed: Assumed,
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
    /// What was taken for given about the mesh as a whole; nothing of a running one.
    notes: Vec<String>,
}

/// Prints what was found, as a reader goes through files.
pub(crate) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let mut notes = Vec::new();
    let found = match &arguments.dir {
        Some(directory) => {
            let settings;
            (settings, notes) = arguments.assumed.settings(None);
            offline(directory, settings)?
        }
        None => {
            let place = super::mesh(shared)?;
            super::block_on(ask::get(&place.admin_socket(), "/diagnostics"))?
        }
    };
    let report = Report::new(found, notes, arguments);
    let well = report
        .findings
        .iter()
        .all(|finding| Level::of(finding) < arguments.fail_on);
    output::show(shared.output, &report, text)?;
    Ok(super::verdict(well))
}

/// Everything there is to say about the manifests of a directory.
fn offline(directory: &Directory, settings: Settings) -> anyhow::Result<Vec<DiagnosticView>> {
    let there = std::fs::read_dir(directory.root()).map(drop);
    there
        .map_err(|error| anyhow::anyhow!("cannot read {}: {error}", directory.root().display()))
        .advise("cannot analyze the manifests", "name a directory of YAML files")?;
    let (_, diagnostics) = wattle_control::offline::load_with(directory, settings);
    Ok(diagnostics.iter().map(DiagnosticView::from).collect())
}

impl Report {
    fn new(found: Vec<DiagnosticView>, notes: Vec<String>, arguments: &Arguments) -> Self {
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
            notes,
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
    for note in &report.notes {
        let _ = writeln!(out, "note: {note}");
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn arguments() -> Arguments {
        Arguments {
            dir: None,
            assumed: Assumed::default(),
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
        offline(&Directory::new(directory.path()), Settings::default()).unwrap()
    }

    #[test]
    fn each_finding_has_a_code_and_the_place_it_is_at() {
        let report = Report::new(found(), Vec::new(), &arguments());
        assert!(report.warnings + report.errors >= 2, "{report:?}");
        let text = text(&report);
        assert!(
            text.contains("[selects-nothing]") && text.contains("mesh.yaml:2:"),
            "{text}"
        );
    }

    #[test]
    fn what_is_assumed_of_the_mesh_is_said() {
        let notes = Assumed::default().settings(None).1;
        let text = text(&Report::new(found(), notes, &arguments()));
        let last = text.lines().last().unwrap();
        assert_eq!(
            last,
            "note: assumed of the mesh: trust domain cluster.local, root namespace wattle-system"
        );
    }

    #[test]
    fn findings_are_narrowed_by_code_and_severity() {
        let one = Arguments {
            codes: vec!["selects-nothing".to_owned()],
            ..arguments()
        };
        assert_eq!(Report::new(found(), Vec::new(), &one).findings.len(), 1);
        let errors = Arguments {
            least: Level::Error,
            ..arguments()
        };
        assert_eq!(Report::new(found(), Vec::new(), &errors).warnings, 0);
    }

    #[test]
    fn a_directory_that_is_not_there_is_said_so() {
        assert!(offline(&Directory::new("/nowhere/at/all"), Settings::default()).is_err());
    }
}
