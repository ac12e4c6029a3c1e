//! The map stays true: each crate is on it, and each crate root says what it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Result;

use super::Violation;
use crate::rust_text::SourceFile;

const MAP: &str = "ARCHITECTURE.md";

/// A crate root introduces itself in at least this many lines: what it owns, what it refuses, where to start.
const ROOT_DOC_LINES: usize = 3;

/// Looks at the map and at each crate root.
pub(super) fn check(root: &Path, files: &[SourceFile]) -> Result<Vec<Violation>> {
    let crates: BTreeSet<&str> = files
        .iter()
        .filter(|file| file.path.starts_with("crates/"))
        .map(|file| file.crate_name())
        .collect();
    let mut violations = match fs::read_to_string(root.join(MAP)) {
        Ok(map) => missing_on_map(&map, &crates),
        Err(error) => vec![Violation::file(MAP, format!("the map cannot be read: {error}"))],
    };
    violations.extend(
        files
            .iter()
            .filter(|file| is_crate_root(&file.path))
            .filter_map(introduction),
    );
    Ok(violations)
}

fn missing_on_map(map: &str, crates: &BTreeSet<&str>) -> Vec<Violation> {
    let names = |name: &str| {
        let whole_word = |at: usize| {
            !map[at + name.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '-')
        };
        map.match_indices(name).any(|(at, _)| whole_word(at))
    };
    crates
        .iter()
        .filter(|name| !names(name))
        .map(|name| Violation::file(MAP, format!("does not name {name}")))
        .collect()
}

fn is_crate_root(path: &str) -> bool {
    let depth = path.split('/').count();
    path.starts_with("crates/")
        && depth == 4
        && (path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs"))
}

fn introduction(file: &SourceFile) -> Option<Violation> {
    let lines = file
        .lines
        .iter()
        .take_while(|line| line.text.starts_with("//!"))
        .count();
    (lines < ROOT_DOC_LINES).then(|| {
        Violation::file(
            &file.path,
            "a crate root says what it owns, what it refuses to know and where to start reading",
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn lib(text: &str) -> SourceFile {
        SourceFile::new("crates/wattle-net/src/lib.rs".into(), text.into())
    }

    fn with_map(map: &str, file: SourceFile) -> Vec<Violation> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(MAP), map).unwrap();
        check(folder.path(), &[file]).unwrap()
    }

    #[test]
    fn a_crate_that_is_not_on_the_map_is_found() {
        let file = || lib("//! Owns.\n//! Refuses.\n//! Start.\n");
        assert!(with_map("| `wattle-net` | sockets |", file()).is_empty());
        assert_eq!(with_map("wattle-network is another", file()).len(), 1);
    }

    #[test]
    fn a_missing_map_is_found() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(check(folder.path(), &[]).unwrap().len(), 1);
    }

    #[test]
    fn a_crate_root_without_an_introduction_is_found() {
        assert_eq!(with_map("wattle-net", lib("//! Net.\n")).len(), 1);
    }
}
