//! Manifests without a running mesh, and what has to be told or assumed about the mesh that they are for.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use wattle_api::Severity;
use wattle_compile::{Mesh, Settings};
use wattle_source::Directory;

/// A directory instead of the running mesh.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Offline {
    /// Ask the manifests in this directory, without a running mesh
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) assumed: Assumed,
}

/// What manifests do not say of the mesh that they are for.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Assumed {
    /// Trust domain of the mesh that the manifests are for [default: cluster.local]
    #[arg(long, value_name = "NAME", requires = "dir")]
    pub(crate) trust_domain: Option<String>,
    /// Namespace whose policies are for that whole mesh [default: wattle-system]
    #[arg(long, value_name = "NAME", requires = "dir")]
    pub(crate) root_namespace: Option<String>,
}

/// A mesh as its manifests say, and what was assumed about it.
pub(crate) struct Loaded {
    pub(crate) mesh: Mesh,
    /// One line each.
    pub(crate) notes: Vec<String>,
}

impl Offline {
    /// Reads the directory; `trust_domain` is what the facts that are asked about say, where no flag does.
    pub(crate) fn load(&self, directory: &Path, trust_domain: Option<&str>) -> anyhow::Result<Loaded> {
        let (settings, mut notes) = self.assumed.settings(trust_domain);
        let (mesh, errors) = load(directory, settings)?;
        if errors > 0 {
            notes.push(format!(
                "{errors} errors in the manifests: what cannot be read has no part in this, policies refuse instead"
            ));
        }
        Ok(Loaded { mesh, notes })
    }
}

impl Assumed {
    /// Does a flag say something?
    pub(crate) fn is_told(&self) -> bool {
        self.trust_domain.is_some() || self.root_namespace.is_some()
    }

    /// The settings, and what had to be assumed.
    pub(crate) fn settings(&self, trust_domain: Option<&str>) -> (Settings, Vec<String>) {
        let mut settings = Settings::default();
        let mut assumed = Vec::new();
        match self.trust_domain.as_deref().or(trust_domain) {
            Some(name) => settings.trust_domain = name.into(),
            None => assumed.push(format!("trust domain {}", settings.trust_domain)),
        }
        match self.root_namespace.as_deref() {
            Some(name) => settings.root_namespace = name.into(),
            None => assumed.push(format!("root namespace {}", settings.root_namespace)),
        }
        let notes = match assumed.is_empty() {
            true => Vec::new(),
            false => vec![format!("assumed of the mesh: {}", assumed.join(", "))],
        };
        (settings, notes)
    }
}

/// A mesh as its manifests say; errors are told on standard error and counted.
pub(crate) fn load(directory: &Path, settings: Settings) -> anyhow::Result<(Mesh, usize)> {
    std::fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let (mesh, diagnostics) = wattle_control::offline::load_with(&Directory::new(directory), settings);
    let errors: Vec<_> = diagnostics
        .iter()
        .filter(|one| one.severity == Severity::Error)
        .collect();
    errors.iter().for_each(|error| eprintln!("error: {error}"));
    Ok((mesh, errors.len()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_not_told_is_assumed_and_said() {
        let (settings, notes) = Assumed::default().settings(None);
        assert_eq!(&*settings.trust_domain, "cluster.local");
        assert_eq!(
            notes,
            ["assumed of the mesh: trust domain cluster.local, root namespace wattle-system"]
        );
    }

    #[test]
    fn a_flag_wins_over_the_facts_and_these_over_the_default() {
        let (settings, notes) = Assumed::default().settings(Some("of.facts"));
        assert_eq!(&*settings.trust_domain, "of.facts");
        assert_eq!(notes, ["assumed of the mesh: root namespace wattle-system"]);
        let told = Assumed {
            trust_domain: Some("told".to_owned()),
            root_namespace: Some("root".to_owned()),
        };
        let (settings, notes) = told.settings(Some("of.facts"));
        assert_eq!(
            (&*settings.trust_domain, &*settings.root_namespace),
            ("told", "root")
        );
        assert!(notes.is_empty());
    }

    #[test]
    fn errors_in_the_manifests_are_said_beside_the_answer() {
        let directory = tempfile::tempdir().unwrap();
        let unreadable = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\nspec: {action: PERHAPS}\n";
        std::fs::write(directory.path().join("mesh.yaml"), unreadable).unwrap();
        let loaded = Offline::default().load(directory.path(), None).unwrap();
        assert!(
            loaded.notes[1].starts_with("1 errors in the manifests"),
            "{:?}",
            loaded.notes
        );
    }
}
