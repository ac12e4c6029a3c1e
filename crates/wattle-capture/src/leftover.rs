//! Directories that a run keeps on disk, and removing those of runs that crashed.
//!
//! The kernel removes processes, links and namespaces by itself; only files can be left over. A run locks its
//! directory for as long as it lives, and the kernel drops the lock however it ends, so a directory
//! without a lock is a dead run's. Pids would not say so: they are reused, and differ between namespaces.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// What the name of every run's directory begins with.
const PREFIX: &str = "run-";

/// Held while directories are made or removed, so that none is swept before its owner could lock it.
const GATE: &str = ".gate";

/// Directories looked at in one sweep, at most.
const SWEEP_LIMIT: usize = 1024;

/// Directories made by one process, at most.
const ATTEMPTS: u32 = 64;

/// Why a run's directory could not be made or swept.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}")]
pub struct LeftoverError {
    /// What was tried.
    action: &'static str,
    /// On which path.
    path: PathBuf,
    /// What the system said.
    source: io::Error,
}

/// A run's own directory, locked; removed with all in it when dropped.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    _lock: File,
}

impl RunDirectory {
    /// Makes `run-PID-N` in `base`, for its owner's eyes and passage for others (mode 0711).
    ///
    /// To be called by the outer process, which outlives the supervisor.
    pub fn create(base: &Path) -> Result<Self, LeftoverError> {
        fs::create_dir_all(base).map_err(|error| failed("make", base, error))?;
        let _gate = pass_gate(base)?;
        for number in 0..ATTEMPTS {
            let path = base.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match fs::DirBuilder::new().mode(0o711).create(&path) {
                Ok(()) => return Self::lock(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("make", &path, error)),
            }
        }
        Err(failed(
            "make a run directory in",
            base,
            io::ErrorKind::AlreadyExists.into(),
        ))
    }

    fn lock(path: PathBuf) -> Result<Self, LeftoverError> {
        let lock = File::open(&path).map_err(|error| failed("open", &path, error))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| failed("lock", &path, error.into()))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove the run's directory");
        }
    }
}

/// Removes the directories of dead runs in `base` and says which; one it may not remove does not stop it.
pub fn sweep(base: &Path) -> Result<Vec<PathBuf>, LeftoverError> {
    if !base.exists() {
        return Ok(Vec::new());
    }
    let _gate = pass_gate(base)?;
    let entries = fs::read_dir(base).map_err(|error| failed("read", base, error))?;
    let mut removed = Vec::new();
    for entry in entries.flatten().take(SWEEP_LIMIT) {
        let is_run = entry.file_name().to_string_lossy().starts_with(PREFIX);
        // The type of the entry itself, so that a symbolic link is never followed.
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_run && is_directory && remove_dead(&entry.path()) {
            removed.push(entry.path());
        }
    }
    Ok(removed)
}

fn remove_dead(path: &Path) -> bool {
    let Ok(directory) = File::open(path) else {
        return false;
    };
    match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return false,
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "cannot tell whether a run is alive");
            return false;
        }
    }
    match fs::remove_dir_all(path) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "cannot remove what a crashed run left");
            false
        }
    }
}

fn pass_gate(base: &Path) -> Result<File, LeftoverError> {
    let path = base.join(GATE);
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| failed("open", &path, error))?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive)
        .map_err(|error| failed("lock", &path, error.into()))?;
    Ok(file)
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> LeftoverError {
    LeftoverError {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_living_run_is_left_alone_and_cleans_up_after_itself() {
        let base = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(base.path()).unwrap();
        let path = run.path().to_owned();
        fs::write(path.join("state"), "x").unwrap();
        assert!(sweep(base.path()).unwrap().is_empty());
        assert!(path.join("state").exists());
        drop(run);
        assert!(!path.exists());
    }

    #[test]
    fn a_dead_run_is_swept_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let dead = base.path().join("run-4711-0");
        fs::create_dir_all(dead.join("deep")).unwrap();
        fs::write(dead.join("deep/file"), "x").unwrap();
        let stranger = base.path().join("precious");
        fs::create_dir(&stranger).unwrap();
        std::os::unix::fs::symlink(&stranger, base.path().join("run-link")).unwrap();
        assert_eq!(sweep(base.path()).unwrap(), std::slice::from_ref(&dead));
        assert!(!dead.exists() && stranger.exists());
    }

    #[test]
    fn two_runs_of_one_process_have_two_directories() {
        let base = tempfile::tempdir().unwrap();
        let one = RunDirectory::create(base.path()).unwrap();
        let other = RunDirectory::create(base.path()).unwrap();
        assert_ne!(one.path(), other.path());
    }

    #[test]
    fn nothing_is_left_where_nothing_was() {
        assert!(sweep(Path::new("/nonexistent/wattle")).unwrap().is_empty());
    }
}
