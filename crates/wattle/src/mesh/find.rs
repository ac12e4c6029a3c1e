//! Finding a running mesh by name.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::Context as _;

use crate::failure::Failure;

use super::Place;

/// Names looked at, at most.
const MAX_NAMES: usize = 1024;

/// The running mesh of this name; without one, the only mesh that runs.
pub(crate) fn find(name: Option<&str>) -> anyhow::Result<Place> {
    let base = super::base()?;
    let running = running(&base)?;
    let chosen = match name {
        Some(name) => running.iter().find(|known| *known == name),
        None => running.first().filter(|_| running.len() == 1),
    };
    match chosen {
        Some(chosen) => Ok(place(&base, chosen)),
        None => Err(not_found(name, &running)),
    }
}

/// Whether a mesh of this name runs.
pub(crate) fn is_alive(base: &Path, name: &str) -> bool {
    UnixStream::connect(place(base, name).supervisor_socket()).is_ok()
}

/// Removes names whose runs are gone, as a crash leaves them.
pub(crate) fn sweep_names(base: &Path) {
    for name in links(base).unwrap_or_default() {
        let link = base.join(name);
        if fs::metadata(&link).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            let _ = fs::remove_file(&link);
        }
    }
}

/// The directory itself and not the name that points to it: the name may point elsewhere a moment later.
fn place(base: &Path, name: &str) -> Place {
    let link = base.join(name);
    Place::new(fs::canonicalize(&link).unwrap_or(link))
}

/// The names of the running meshes, sorted.
fn running(base: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = links(base)?;
    names.retain(|name| is_alive(base, name));
    names.sort();
    Ok(names)
}

/// All names: a name is a symbolic link to the run's directory.
fn links(base: &Path) -> anyhow::Result<Vec<String>> {
    let entries = fs::read_dir(base).with_context(|| format!("cannot read {}", base.display()))?;
    let is_link = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_symlink());
    let links = entries.flatten().take(MAX_NAMES).filter(is_link);
    Ok(links
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect())
}

fn not_found(name: Option<&str>, running: &[String]) -> anyhow::Error {
    let list = running.join(", ");
    match (name, running) {
        (Some(name), []) => Failure::error(format!("no mesh `{name}` is running, nor any other"), START),
        (Some(name), _) => Failure::error(
            format!("no mesh `{name}` is running"),
            format!("choose one of those that run: {list}"),
        ),
        (None, []) => Failure::error("no mesh is running for this user", START),
        (None, _) => Failure::error(
            format!("several meshes are running: {list}"),
            "say which one is meant with `--mesh NAME`",
        ),
    }
}

const START: &str = "start one with `wattle demo` or `wattle up DIR`";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_meshes_that_answer_are_running() {
        let base = tempfile::tempdir().unwrap();
        for (name, run) in [("shop", "run-1-0"), ("dead", "run-2-0")] {
            fs::create_dir(base.path().join(run)).unwrap();
            symlink(run, base.path().join(name)).unwrap();
        }
        symlink("run-3-0", base.path().join("dangling")).unwrap();
        let _listener = UnixListener::bind(base.path().join("run-1-0/supervisor.sock")).unwrap();
        assert_eq!(running(base.path()).unwrap(), ["shop"]);
        assert!(place(base.path(), "shop").root().ends_with("run-1-0"));
        sweep_names(base.path());
        let mut left = links(base.path()).unwrap();
        left.sort();
        assert_eq!(left, ["dead", "shop"], "only the name that leads nowhere is gone");
    }

    #[test]
    fn an_ambiguous_or_unknown_name_is_answered_with_the_choice() {
        let two = ["a".to_owned(), "b".to_owned()];
        assert_eq!(
            not_found(None, &two).to_string(),
            "several meshes are running: a, b"
        );
        assert_eq!(not_found(Some("c"), &two).to_string(), "no mesh `c` is running");
        assert_eq!(
            not_found(None, &[]).to_string(),
            "no mesh is running for this user"
        );
    }
}
