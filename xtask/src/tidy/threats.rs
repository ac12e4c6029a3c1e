//! The threat model names files and tests that are there, and for each threat a test.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Violation;
use crate::rust_text::SourceFile;

const MODEL: &str = "docs/threat-model.md";
/// Head of the column with tests, in tables of threats.
const SHOWN_BY: &str = "shown by";

/// Looks at each row of its tables.
pub(super) fn check(root: &Path, files: &[SourceFile]) -> Result<Vec<Violation>> {
    let text = fs::read_to_string(root.join(MODEL)).with_context(|| format!("reading {MODEL}"))?;
    let rows = (1..).zip(text.lines()).filter(|(_, line)| line.starts_with('|'));
    let mut violations: Vec<_> = rows
        .flat_map(|(line, row)| {
            let cells = row.split('|').flat_map(|cell| missing(cell, files));
            cells.map(move |reason| Violation::at(MODEL, line, reason))
        })
        .collect();
    let unshown = unshown(&text).into_iter();
    violations.extend(unshown.map(|line| Violation::at(MODEL, line, "no test shows what holds this off")));
    Ok(violations)
}

/// Lines of rows that name no test where their table says what shows it.
fn unshown(text: &str) -> Vec<usize> {
    let mut column = None;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if !line.starts_with('|') {
            column = None;
        } else if let Some(shown) = cells.iter().position(|cell| *cell == SHOWN_BY) {
            column = Some(shown);
        } else if let Some(cell) = column.and_then(|column| cells.get(column))
            && !cell.starts_with("---")
            && !cell.split('`').skip(1).step_by(2).any(is_test)
        {
            found.push(number);
        }
    }
    found
}

/// What a cell names in vain: files, and tests that are not in the file named before them, or nowhere without one.
fn missing(cell: &str, files: &[SourceFile]) -> Vec<String> {
    let (mut place, mut missing) = (None, Vec::new());
    for word in cell.split('`').skip(1).step_by(2) {
        if word.ends_with(".rs") {
            place = files.iter().find(|file| is_named(&file.path, word));
            if place.is_none() {
                missing.push(format!("there is no file {word}"));
            }
        } else if is_test(word) {
            let found = match place {
                Some(file) => has(file, word),
                None => files.iter().any(|file| has(file, word)),
            };
            if !found {
                missing.push(format!("there is no test {word} where it is said to be"));
            }
        }
    }
    missing
}

/// Paths are below `crates/`, unless they begin elsewhere in the repository.
fn is_named(path: &str, written: &str) -> bool {
    path == written || path.strip_prefix("crates/") == Some(written)
}

/// A sentence in the letters of a function's name.
fn is_test(word: &str) -> bool {
    let letters = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    word.matches('_').count() >= 2 && word.chars().all(letters)
}

/// As a function, or as a word in a list of tests.
fn has(file: &SourceFile, test: &str) -> bool {
    let (function, listed) = (format!("fn {test}("), format!("\"{test}\""));
    let mut lines = file.lines.iter();
    lines.any(|line| line.text.contains(&function) || line.text.contains(&listed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn found(model: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("docs")).unwrap();
        fs::write(folder.path().join(MODEL), model).unwrap();
        let files = [
            ("crates/a/src/x.rs", "fn nobody_gets_in() {}\n"),
            (
                "crates/a/tests/y.rs",
                "fn it_is_refused() {}\nconst ALL: &str = \"it_is_held_off\";\n",
            ),
        ]
        .map(|(path, text)| SourceFile::new(path.into(), text.into()));
        let violations = check(folder.path(), &files).unwrap();
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_test_or_file_that_is_not_there_is_found() {
        assert_eq!(
            found("| `a/src/x.rs` | `a/tests/y.rs` `it_is_refused`, `it_is_held_off` |"),
            [""; 0]
        );
        assert_eq!(
            found("| `a/src/x.rs` `nobody_gets_in` | `it_is_refused` | `REGISTRY_ONLY` |"),
            [""; 0]
        );
        assert_eq!(
            found("\n| `a/src/x.rs` `it_is_refused` |"),
            ["docs/threat-model.md:2: there is no test it_is_refused where it is said to be"]
        );
        assert_eq!(found("| `a/src/z.rs` | `it_was_renamed` |").len(), 2);
    }

    #[test]
    fn a_threat_without_a_test_is_found() {
        let model =
            "| threat | shown by |\n|---|---|\n| one | `it_is_refused` |\n| two `it_is_held_off` | none |\n";
        let none = "docs/threat-model.md:4: no test shows what holds this off";
        assert_eq!(found(model), [none]);
        assert_eq!(found("| accepted | why |\n|---|---|\n| one | none |"), [""; 0]);
    }
}
