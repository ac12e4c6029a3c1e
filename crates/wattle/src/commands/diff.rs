//! `wattle diff`: what changes for whom between two directories of manifests.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use wattle_control::diff::{Difference, diff};

use super::offline::{Assumed, load};
use crate::cli::Shared;
use crate::output;
use crate::view::progress;

/// Arguments of `wattle diff`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code 0 if no request is answered differently, 1 if some are.")]
pub(crate) struct Arguments {
    /// Directory of manifests as they are
    before: PathBuf,
    /// Directory of manifests as they are to be
    #[arg(value_name = "AFTER")]
    dir: PathBuf,
    #[command(flatten)]
    assumed: Assumed,
}

/// Compares, and prints what differs.
pub(crate) fn run(arguments: &Arguments, shared: &Shared) -> anyhow::Result<ExitCode> {
    let difference = compared(arguments)?;
    output::show(shared.output, &difference, ToString::to_string)?;
    Ok(super::verdict(difference.is_empty()))
}

fn compared(arguments: &Arguments) -> anyhow::Result<Difference> {
    let (settings, notes) = arguments.assumed.settings(None);
    let (mut before, _) = load(&arguments.before, settings.clone())?;
    let (mut after, _) = load(&arguments.dir, settings)?;
    let bar = progress::spinner("asking both");
    let difference = diff(&mut before, &mut after, |asked, all| {
        bar.set_message(format!("asking both: {asked} of {all} questions"));
    });
    bar.finish_and_clear();
    Ok(Difference { notes, ..difference })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    const MESH: [&str; 3] = [
        r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "cart"},
            "spec": {"selector": {"app": "cart"}, "ports": [{"name": "http", "port": 80}]}}"#,
        r#"{"apiVersion": "wattle.io/v1alpha1", "kind": "Process", "metadata": {"name": "web", "labels": {"app": "web"}},
            "spec": {"command": ["web"], "serviceAccountName": "web"}}"#,
        r#"{"apiVersion": "wattle.io/v1alpha1", "kind": "Process", "metadata": {"name": "cart", "labels": {"app": "cart"}},
            "spec": {"command": ["cart"], "serviceAccountName": "cart", "ports": [{"name": "http", "port": 80}]}}"#,
    ];
    const POLICY: &str = r#"{"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": {"name": "all", "namespace": "told"}, "spec": {"action": "DENY", "rules": [{}]}}"#;

    fn difference(flags: &[&str]) -> Difference {
        let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(before.path().join("mesh.yaml"), MESH.join("\n---\n")).unwrap();
        std::fs::write(
            after.path().join("mesh.yaml"),
            [&MESH[..], &[POLICY]].concat().join("\n---\n"),
        )
        .unwrap();
        let directories = [before.path(), after.path()].map(|path| path.to_str().unwrap());
        let line = ["wattle", "diff"].iter().chain(&directories).chain(flags);
        match Cli::try_parse_from(line).unwrap().command {
            Command::Diff(arguments) => compared(&arguments).unwrap(),
            _ => panic!("not a comparison"),
        }
    }

    #[test]
    fn policies_of_the_root_namespace_that_is_told_are_for_all_and_what_is_assumed_is_said() {
        let told = difference(&["--root-namespace", "told", "--trust-domain", "of.mesh"]);
        assert!(!told.is_empty() && told.notes.is_empty(), "{told}");
        let assumed = difference(&[]);
        assert!(assumed.is_empty(), "{assumed}");
        let note = "note: assumed of the mesh: trust domain cluster.local, root namespace wattle-system";
        assert!(assumed.to_string().contains(note), "{assumed}");
    }
}
