//! The directory in which all meshes of one user have theirs.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::failure::Failure;

/// Environment variable that names another directory.
const VARIABLE: &str = "WATTLE_RUN_DIR";

/// Passage for everybody, since proxies and applications run as other users; sight for the owner alone.
const MODE: u32 = 0o711;

/// The user's directory, made if need be, and surely the user's own.
pub(crate) fn base() -> anyhow::Result<PathBuf> {
    let path = wanted();
    let made = fs::DirBuilder::new().recursive(true).mode(MODE).create(&path);
    made.with_context(|| format!("cannot make the directory {}", path.display()))?;
    check_owner(&path)?;
    Ok(path)
}

fn wanted() -> PathBuf {
    if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return path.into();
    }
    let user = rustix::process::geteuid();
    // Root's proxies run as another user, who could not pass root's own runtime directory.
    let system = Path::new("/run");
    if user.is_root() && rustix::fs::access(system, rustix::fs::Access::WRITE_OK).is_ok() {
        return system.join("wattle");
    }
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty() && !user.is_root()) {
        Some(path) => Path::new(&path).join("wattle"),
        None => PathBuf::from(format!("/tmp/wattle-{}", user.as_raw())),
    }
}

/// Somebody else may have been first to use the name in a directory that all can write to.
fn check_owner(path: &Path) -> anyhow::Result<()> {
    let found = fs::symlink_metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    let own = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
    let writable_to_others = found.permissions().mode() & 0o022 != 0;
    if own && !writable_to_others {
        return Ok(());
    }
    let message = format!(
        "{} is not a directory that only this user can write to",
        path.display()
    );
    Err(Failure::error(
        message,
        format!("remove it, or set {VARIABLE} to a directory of your own"),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_directory_that_others_can_write_to_or_a_link_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let own = directory.path().join("own");
        fs::DirBuilder::new().mode(0o711).create(&own).unwrap();
        check_owner(&own).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&own, &link).unwrap();
        check_owner(&link).unwrap_err();
        fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
        check_owner(&own).unwrap_err();
    }
}
