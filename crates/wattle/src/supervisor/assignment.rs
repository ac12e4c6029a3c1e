//! What the outer process tells the supervisor it starts inside the namespaces.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::mesh::Place;

/// What to run and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Assignment {
    /// Name of the mesh.
    pub(crate) name: String,
    /// The manifests, as an absolute path.
    pub(crate) directory: PathBuf,
    /// The state directory.
    pub(crate) state: PathBuf,
    /// End by itself after this long; none means when told to.
    pub(crate) run_for: Option<Duration>,
    /// End when this process has ended, and as it did.
    pub(crate) exit_with: Option<String>,
    /// Whether proxies write access logs.
    pub(crate) access_log: bool,
    /// Whom to ask for names that the mesh does not know; none of them exists if there is nobody.
    pub(crate) resolvers: Vec<IpAddr>,
    /// Worker threads of each proxy; none leaves it to the proxy.
    pub(crate) proxy_workers: Option<usize>,
    /// Roots that count besides the mesh's own, as an absolute path.
    pub(crate) accepted_roots: Option<PathBuf>,
    /// What standard output shows.
    pub(crate) screen: ScreenMode,
}

/// What the supervisor writes to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ScreenMode {
    /// What processes print and what happens to them.
    Lines {
        /// Whether names are coloured.
        colour: bool,
    },
    /// The same as one JSON object a line.
    Json,
    /// Nothing.
    Silent,
}

impl Assignment {
    /// The state directory's layout.
    pub(crate) fn place(&self) -> Place {
        Place::new(&self.state)
    }
}
