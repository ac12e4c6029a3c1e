//! A workload's chain, key and roots as files, for programs that can have them in no other way.
//!
//! Libraries of gRPC read the files one after the other, so those of one set are replaced together: each set is a directory
//! of its own, and programs go by a link that leads to another one from one moment to the next. Who reads one file before
//! and one after sees by the files' times that something changed, and reads again.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::config::write_private;
use crate::identity::Credentials;

/// The link, by which programs go.
const LINK: &str = "certificates";
/// Directories of sets: the one in use, and the one before, in which somebody may still be reading.
const SETS: [&str; 2] = [".certificates.0", ".certificates.1"];

/// One set, but for the key: that is another one whenever the chain is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set {
    chain: String,
    roots: String,
}

impl Set {
    pub(super) fn of(credentials: &Credentials) -> Self {
        Self {
            chain: credentials.svid().chain_pem(),
            roots: credentials.roots_pem(),
        }
    }
}

/// The directory with both sets and the link.
#[derive(Clone, Debug)]
pub(super) struct Files(PathBuf);

impl Files {
    /// Makes the directory, for its owner alone.
    pub(super) fn prepare(directory: PathBuf) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        // One that was there already may be open to others.
        fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
        Ok(Self(directory))
    }

    pub(super) fn directory(&self) -> &Path {
        &self.0
    }

    /// Where programs find `tls.crt`, `tls.key` and `ca.crt`.
    pub(super) fn shown(&self) -> PathBuf {
        self.0.join(LINK)
    }

    /// Puts a whole set in the place of the one before; when this fails, that one stays.
    pub(super) fn replace(&self, set: &Set, key: &str) -> io::Result<()> {
        if set.roots.is_empty() {
            return Err(io::Error::other("there are no roots to go with the certificate"));
        }
        let name = self.free();
        let directory = self.0.join(name);
        unless_missing(fs::remove_dir_all(&directory))?;
        DirBuilder::new().mode(0o700).create(&directory)?;
        for (file, content) in [
            ("tls.crt", &*set.chain),
            ("tls.key", key),
            ("ca.crt", &*set.roots),
        ] {
            write_private(&directory.join(file), content.as_bytes())?;
        }
        File::open(&directory)?.sync_all()?;
        let fresh = self.0.join("certificates.new");
        unless_missing(fs::remove_file(&fresh))?;
        symlink(name, &fresh)?;
        fs::rename(&fresh, self.shown())?;
        File::open(&self.0)?.sync_all()
    }

    /// The set that the link does not lead to.
    fn free(&self) -> &'static str {
        let [first, second] = SETS;
        match fs::read_link(self.shown()) {
            Ok(used) if used == Path::new(first) => second,
            _ => first,
        }
    }
}

fn unless_missing(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn set(text: &str) -> Set {
        Set {
            chain: format!("chain {text}"),
            roots: format!("roots {text}"),
        }
    }

    fn read(files: &Files) -> Vec<String> {
        let shown = files.shown();
        ["tls.crt", "tls.key", "ca.crt"]
            .map(|name| fs::read_to_string(shown.join(name)).unwrap())
            .into()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_set_is_replaced_as_a_whole_and_read_by_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("programs");
        DirBuilder::new().mode(0o755).create(&directory).unwrap();
        let files = Files::prepare(directory.clone()).unwrap();
        for round in ["1", "2", "3"] {
            files.replace(&set(round), &format!("key {round}")).unwrap();
            let expected = ["chain", "key", "roots"].map(|part| format!("{part} {round}"));
            assert_eq!(read(&files), expected);
        }
        assert_eq!((mode(&directory), mode(&files.shown())), (0o700, 0o700));
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            assert_eq!(mode(&files.shown().join(name)), 0o600, "{name}");
        }
        let mut left: Vec<_> = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, [SETS[0], SETS[1], LINK]);
    }

    #[test]
    fn who_reads_from_the_set_before_can_go_on() {
        let home = tempfile::tempdir().unwrap();
        let files = Files::prepare(home.path().join("programs")).unwrap();
        files.replace(&set("1"), "key 1").unwrap();
        let before = fs::canonicalize(files.shown()).unwrap();
        files.replace(&set("2"), "key 2").unwrap();
        assert_eq!(fs::read_to_string(before.join("tls.key")).unwrap(), "key 1");
    }

    #[test]
    fn what_is_not_a_whole_set_leaves_the_one_before() {
        let home = tempfile::tempdir().unwrap();
        let files = Files::prepare(home.path().join("programs")).unwrap();
        files.replace(&set("1"), "key 1").unwrap();
        let rootless = Set {
            roots: String::new(),
            ..set("2")
        };
        assert!(files.replace(&rootless, "key 2").is_err());
        assert_eq!(read(&files)[1], "key 1");
    }
}
