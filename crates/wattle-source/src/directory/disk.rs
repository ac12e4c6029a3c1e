//! The disk side of the directory source: which files are there, and which of them have other contents than before.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use wattle_api::MAX_FILE_BYTES;

use super::signal::Force;
use super::state::Contents;

/// Most files that are read; further ones, by path order, are not.
const MAX_FILES: usize = 10_000;
/// Deepest directory below the root.
pub(super) const MAX_DEPTH: usize = 32;
/// Most entries of all directories together that are looked at.
const MAX_ENTRIES: usize = 200_000;

/// What was last seen of a directory.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    files: BTreeMap<PathBuf, Seen>,
    directories: BTreeSet<PathBuf>,
    /// Paths about which a failure was told and not yet taken back.
    failed: BTreeSet<PathBuf>,
    hasher: RandomState,
}

/// What tells whether a file may have changed without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    stamp: Stamp,
    /// Of the contents; none when they could not be read.
    digest: Option<u64>,
}

/// What one walk over the directory found.
#[derive(Debug, Default)]
struct Walk {
    files: BTreeMap<PathBuf, Stamp>,
    directories: BTreeSet<PathBuf>,
    /// Directories by device and inode, so that links in a circle end.
    visited: BTreeSet<(u64, u64)>,
    failed: BTreeMap<PathBuf, String>,
    entries: usize,
    truncated: bool,
}

impl Disk {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            files: BTreeMap::new(),
            directories: BTreeSet::new(),
            failed: BTreeSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// The directories to watch.
    pub(super) fn directories(&self) -> &BTreeSet<PathBuf> {
        &self.directories
    }

    /// What became of files since the last look.
    pub(super) fn look(&mut self, force: &Force) -> Vec<(String, Contents)> {
        let mut walk = Walk::default();
        walk.directory(&self.root, 0);
        if walk.truncated {
            let reason =
                format!("found more than {MAX_FILES} files or {MAX_ENTRIES} entries; the rest is not read");
            walk.failed.insert(self.root.clone(), reason);
        }
        let mut changes = self.failures(&walk);
        changes.extend(self.gone(&walk));
        for (path, stamp) in &walk.files {
            changes.extend(
                self.read(path, *stamp, force)
                    .map(|contents| (shown(path), contents)),
            );
        }
        self.directories = walk.directories;
        changes
    }

    /// Failures of directories, new ones told and past ones taken back.
    fn failures(&mut self, walk: &Walk) -> Vec<(String, Contents)> {
        let now: BTreeSet<PathBuf> = walk.failed.keys().cloned().collect();
        let past = self
            .failed
            .difference(&now)
            .map(|path| (shown(path), Contents::Gone));
        let new = walk
            .failed
            .iter()
            .map(|(path, reason)| (shown(path), Contents::Failed(reason.clone())));
        let changes = past.chain(new).collect();
        self.failed = now;
        changes
    }

    /// Files that are no longer there. What lies below a directory that cannot be read, or beyond a limit,
    /// is not known to be gone.
    fn gone(&mut self, walk: &Walk) -> Vec<(String, Contents)> {
        let hidden =
            |path: &Path| walk.truncated || walk.failed.keys().any(|failed| path.starts_with(failed));
        let gone: Vec<PathBuf> = self
            .files
            .keys()
            .filter(|path| !walk.files.contains_key(*path) && !hidden(path))
            .cloned()
            .collect();
        for path in &gone {
            self.files.remove(path);
        }
        gone.iter().map(|path| (shown(path), Contents::Gone)).collect()
    }

    fn read(&mut self, path: &Path, stamp: Stamp, force: &Force) -> Option<Contents> {
        let seen = self.files.get(path);
        if seen.is_some_and(|seen| seen.stamp == stamp) && !force.names(path) {
            return None;
        }
        let before = seen.and_then(|seen| seen.digest);
        match contents(path) {
            Ok(bytes) => {
                let digest = Some(self.hasher.hash_one(&bytes));
                self.files.insert(path.to_owned(), Seen { stamp, digest });
                (digest != before).then_some(Contents::Bytes(bytes))
            }
            // Between the walk and the read it went away; the notice of that is on its way.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.files.remove(path).map(|_| Contents::Gone)
            }
            Err(error) => {
                self.files.insert(path.to_owned(), Seen { stamp, digest: None });
                Some(Contents::Failed(error.to_string()))
            }
        }
    }
}

/// At most one byte more than is read of a file: the parser says that it is too large.
fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Whether a file is one of manifests, by its name.
pub(super) fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    !is_hidden(path) && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// Hidden files are editors' drafts; hidden directories hold other tools' state, `.wattle` our own.
fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

impl Walk {
    fn directory(&mut self, path: &Path, depth: usize) {
        let listed = fs::metadata(path).and_then(|metadata| {
            let fresh = self.visited.insert((metadata.dev(), metadata.ino()));
            if fresh { self.list(path) } else { Ok(Vec::new()) }
        });
        match listed {
            Ok(entries) => {
                self.directories.insert(path.to_owned());
                for entry in entries {
                    self.entry(&entry, depth);
                }
            }
            Err(error) => drop(
                self.failed
                    .insert(path.to_owned(), format!("cannot list the directory: {error}")),
            ),
        }
    }

    fn list(&mut self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(path)? {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                self.truncated = true;
                break;
            }
            paths.push(entry?.path());
        }
        paths.sort_unstable();
        Ok(paths)
    }

    fn entry(&mut self, path: &Path, depth: usize) {
        if is_hidden(path) {
            return;
        }
        // Follows links; one that leads nowhere is no file.
        let Ok(metadata) = fs::metadata(path) else { return };
        if metadata.is_dir() && depth < MAX_DEPTH {
            self.directory(path, depth + 1);
        } else if metadata.is_file() && is_manifest(path) {
            self.file(path, &metadata);
        }
    }

    fn file(&mut self, path: &Path, metadata: &Metadata) {
        if self.files.len() >= MAX_FILES {
            self.truncated = true;
            return;
        }
        let stamp = Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        };
        self.files.insert(path.to_owned(), stamp);
    }
}
