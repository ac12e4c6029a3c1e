//! The crates of the workspace and what they depend on, as `cargo metadata` tells it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The workspace's own crates.
#[derive(Debug, Deserialize)]
pub(super) struct Workspace {
    #[serde(rename = "packages")]
    pub(super) crates: Vec<Crate>,
}

/// One crate and its direct dependencies.
#[derive(Debug, Deserialize)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) dependencies: Vec<Dependency>,
}

/// One arrow.
#[derive(Debug, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// Only tests, examples and benches of the crate use it.
    #[serde(rename = "kind", default, deserialize_with = "is_dev")]
    pub(super) is_dev: bool,
}

fn is_dev<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let kind = Option::<String>::deserialize(deserializer)?;
    Ok(kind.as_deref() == Some("dev"))
}

impl Workspace {
    /// Asks cargo, offline and without resolving anything.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
            .current_dir(root)
            .output()
            .context("running cargo metadata")?;
        if !output.status.success() {
            bail!(
                "cargo metadata failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        serde_json::from_slice(&output.stdout).context("reading the answer of cargo metadata")
    }

    /// Whether a crate of that name is a member.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.crates.iter().any(|member| member.name == name)
    }

    /// Everything that ships with a crate: its dependencies, and theirs as far as they are members.
    pub(super) fn reach(&self, name: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut open = vec![name];
        while let Some(next) = open.pop() {
            let Some(member) = self.crates.iter().find(|member| member.name == next) else {
                continue;
            };
            for dependency in member.shipped() {
                if reached.insert(dependency) {
                    open.push(dependency);
                }
            }
        }
        reached
    }
}

impl Crate {
    /// The dependencies that are not only for tests.
    pub(super) fn shipped(&self) -> impl Iterator<Item = &str> {
        self.dependencies
            .iter()
            .filter(|dependency| !dependency.is_dev)
            .map(|dependency| dependency.name.as_str())
    }

    /// Whether a direct dependency of that name ships.
    pub(super) fn ships_with(&self, name: &str) -> bool {
        self.shipped().any(|dependency| dependency == name)
    }
}
