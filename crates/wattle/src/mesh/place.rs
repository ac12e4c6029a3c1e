//! The layout of one mesh's state directory.

use std::path::{Path, PathBuf};

/// Longest path of a Unix socket that the kernel takes, in bytes, without the closing zero.
const MAX_SOCKET_PATH: usize = 107;

/// The state directory of one mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    root: PathBuf,
}

impl Place {
    /// The mesh whose state is in `root`.
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the supervisor answers.
    pub(crate) fn supervisor_socket(&self) -> PathBuf {
        self.root.join("supervisor.sock")
    }

    /// The control plane's state: keys, certificates, join tokens.
    pub(crate) fn control(&self) -> PathBuf {
        self.root.join("control")
    }

    /// Where the control plane answers commands.
    pub(crate) fn admin_socket(&self) -> PathBuf {
        self.control().join("admin.sock")
    }

    /// The roots that everybody trusts, readable to every proxy.
    pub(crate) fn roots(&self) -> PathBuf {
        self.root.join("roots.pem")
    }

    /// The running instances as WorkloadEntry files, which the control plane watches.
    pub(crate) fn workloads(&self) -> PathBuf {
        self.root.join("workloads")
    }

    /// What every proxy keeps, one directory each.
    pub(crate) fn proxies(&self) -> PathBuf {
        self.root.join("proxies")
    }

    /// Where each proxy finds its own directory, and nobody else's.
    pub(crate) fn own(&self) -> PathBuf {
        self.root.join("own")
    }

    /// Where each application finds what its proxy shows it.
    pub(crate) fn programs(&self) -> PathBuf {
        self.own().join(wattle_proxy::Settings::PROGRAMS)
    }

    /// What applications keep, one directory each.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The files that resolve names for each workload.
    pub(crate) fn hosts(&self) -> PathBuf {
        self.root.join("hosts")
    }

    /// What processes print.
    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// An empty directory, shown to workloads in place of what is not theirs.
    pub(crate) fn empty(&self) -> PathBuf {
        self.root.join("empty")
    }

    /// Whether the kernel takes the paths of all its sockets.
    pub(crate) fn fits_sockets(&self) -> bool {
        let sockets = [self.supervisor_socket(), self.admin_socket()];
        sockets
            .iter()
            .all(|path| path.as_os_str().len() <= MAX_SOCKET_PATH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_no_socket_can_have_is_noticed() {
        assert!(Place::new("/run/wattle/run-4711-0").fits_sockets());
        assert!(!Place::new(format!("/tmp/{}", "deep/".repeat(20))).fits_sockets());
    }
}
