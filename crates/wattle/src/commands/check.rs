//! `wattle check`: this machine and the running mesh, each finding with what to do about it.

mod machine;
mod running;

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::cli::Shared;
use crate::mesh;
use crate::output;

/// Arguments of `wattle check`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only the machine, even if a mesh runs
    #[arg(long)]
    machine: bool,
}

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Warning,
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    /// Stable name, such as `capture-nft`.
    id: String,
    outcome: Outcome,
    /// What was found.
    sentence: String,
    /// What to do about it, beginning with a verb; with every failure and warning.
    hint: Option<String>,
}

impl Finding {
    fn ok(id: &str, sentence: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            outcome: Outcome::Ok,
            sentence: sentence.into(),
            hint: None,
        }
    }

    fn warning(id: &str, sentence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            outcome: Outcome::Warning,
            sentence: sentence.into(),
            hint: Some(hint.into()),
        }
    }

    fn failed(id: &str, sentence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            outcome: Outcome::Failed,
            sentence: sentence.into(),
            hint: Some(hint.into()),
        }
    }
}

/// Findings that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Group {
    title: String,
    findings: Vec<Finding>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Report {
    /// Whether nothing failed.
    ok: bool,
    groups: Vec<Group>,
}

impl Report {
    fn new(groups: Vec<Group>) -> Self {
        let findings = groups.iter().flat_map(|group| &group.findings);
        let ok = findings.clone().all(|finding| finding.outcome != Outcome::Failed);
        Self { ok, groups }
    }
}

/// Prints what was found; fails if anything does.
pub(crate) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    // First, since it starts programs in namespaces, which wants no other thread to be there.
    let progress = crate::view::progress::spinner("checking this machine");
    let mut groups = vec![machine::check()];
    progress.finish_and_clear();
    if !arguments.machine {
        match mesh::find(shared.mesh.as_deref()) {
            Ok(place) => groups.extend(super::block_on(running::check(&place))?),
            // A mesh that was named has to be there.
            Err(error) if shared.mesh.is_some() => return Err(error),
            Err(error) => groups.push(Group {
                title: "mesh".to_owned(),
                findings: vec![Finding::ok(
                    "mesh",
                    format!("{error}, so there is nothing else to check"),
                )],
            }),
        }
    }
    let report = Report::new(groups);
    output::show(shared.output, &report, text)?;
    Ok(super::verdict(report.ok))
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    for Group { title, findings } in &report.groups {
        let _ = writeln!(out, "{title}");
        for Finding {
            outcome,
            sentence,
            hint,
            ..
        } in findings
        {
            let sign = match outcome {
                Outcome::Ok => '✓',
                Outcome::Warning => '!',
                Outcome::Failed => '×',
            };
            let _ = writeln!(out, "  {sign} {sentence}");
            if let Some(hint) = hint {
                let _ = writeln!(out, "      hint: {hint}");
            }
        }
        out.push('\n');
    }
    out.push_str(if report.ok {
        "all is well\n"
    } else {
        "something failed\n"
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(findings: Vec<Finding>) -> Report {
        Report::new(vec![Group {
            title: "machine".to_owned(),
            findings,
        }])
    }

    #[test]
    fn a_failure_fails_the_whole_and_comes_with_a_hint() {
        let report = report(vec![
            Finding::ok("a", "a is there"),
            Finding::failed("b", "b is missing", "install the package b"),
        ]);
        assert!(!report.ok);
        let expected = "machine\n  ✓ a is there\n  × b is missing\n      hint: install the package b\n\nsomething failed\n";
        assert_eq!(text(&report), expected);
    }

    #[test]
    fn a_warning_fails_nothing() {
        assert!(report(vec![Finding::warning("c", "c is old", "renew c")]).ok);
    }
}
