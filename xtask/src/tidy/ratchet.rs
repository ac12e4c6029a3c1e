//! The list of files and functions that are longer than they should be. It may shrink and never grow.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Violation;
use super::shape::{FILE_HARD_LINES, Lengths};

const LIST: &str = "xtask/ratchet.txt";
const HEADER: &str = "\
# Longer than the style allows, each with the length it may not exceed. This list only shrinks:
# `cargo xtask tidy --update` lowers and removes lines; nothing adds one.
";

/// What is allowed to be too long, and how long.
#[derive(Debug, Default)]
pub(super) struct Ratchet {
    allowed: Lengths,
}

impl Ratchet {
    /// Reads the committed list; a missing file is an empty list.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let path = root.join(LIST);
        if !path.exists() {
            return Ok(Self::default());
        }
        Self::parse(&fs::read_to_string(&path).with_context(|| format!("reading {LIST}"))?)
    }

    fn parse(text: &str) -> Result<Self> {
        let lines = text
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        let allowed = lines.map(parse_line).collect::<Result<Lengths>>()?;
        Ok(Self { allowed })
    }

    /// What is longer than allowed, and what the list allows without need.
    pub(super) fn check(&self, measured: &Lengths) -> Vec<Violation> {
        let mut violations = Vec::new();
        for (subject, length) in measured {
            let bound = self.allowed.get(subject).copied().unwrap_or_default();
            let too_long = subject.starts_with("file ") && *length > FILE_HARD_LINES;
            if too_long {
                violations.push(Violation::file(
                    subject,
                    format!("has {length} lines; none may exceed {FILE_HARD_LINES}"),
                ));
            } else if *length > bound {
                violations.push(Violation::file(subject, format!("has {length} lines; divide it")));
            }
        }
        for (subject, bound) in &self.allowed {
            if measured.get(subject).copied().unwrap_or_default() < *bound {
                violations.push(Violation::file(
                    subject,
                    "is shorter than the ratchet says; run `cargo xtask tidy --update`",
                ));
            }
        }
        violations
    }

    /// The same list without what is not needed any more.
    pub(super) fn shrunk(&self, measured: &Lengths) -> Self {
        let kept = self.allowed.iter().filter_map(|(subject, bound)| {
            let length = measured.get(subject)?;
            Some((subject.clone(), *length.min(bound)))
        });
        Self {
            allowed: kept.collect(),
        }
    }

    /// Writes the list back.
    pub(super) fn write(&self, root: &Path) -> Result<()> {
        let lines: String = self
            .allowed
            .iter()
            .map(|(subject, bound)| format!("{subject} {bound}\n"))
            .collect();
        fs::write(root.join(LIST), format!("{HEADER}{lines}")).with_context(|| format!("writing {LIST}"))
    }
}

fn parse_line(line: &str) -> Result<(String, usize)> {
    let (subject, bound) = line
        .rsplit_once(' ')
        .with_context(|| format!("`{line}` in {LIST} has no length"))?;
    let bound = bound
        .parse()
        .with_context(|| format!("the length in `{line}` of {LIST}"))?;
    Ok((subject.to_owned(), bound))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn lengths(subject: &str, length: usize) -> Lengths {
        [(subject.to_owned(), length)].into()
    }

    #[test]
    fn what_is_not_listed_is_refused_and_what_is_listed_passes() {
        let measured = lengths("file crates/a.rs", 400);
        assert_eq!(Ratchet::default().check(&measured).len(), 1);
        assert!(
            Ratchet::parse("# why\nfile crates/a.rs 400\n")
                .unwrap()
                .check(&measured)
                .is_empty()
        );
    }

    #[test]
    fn a_listed_file_may_not_grow_and_the_list_must_follow_when_it_shrinks() {
        let ratchet = Ratchet::parse("file crates/a.rs 400\n").unwrap();
        assert!(
            ratchet.check(&lengths("file crates/a.rs", 401))[0]
                .reason
                .contains("divide it")
        );
        assert!(
            ratchet.check(&lengths("file crates/a.rs", 399))[0]
                .reason
                .contains("--update")
        );
    }

    #[test]
    fn nothing_allows_a_file_above_the_hard_bound() {
        let ratchet = Ratchet::parse("file crates/a.rs 700\n").unwrap();
        assert!(
            ratchet.check(&lengths("file crates/a.rs", 700))[0]
                .reason
                .contains("none may exceed")
        );
    }

    #[test]
    fn an_update_lowers_and_removes_but_never_adds_or_raises() {
        let ratchet = Ratchet::parse("file a 400\nfile b 400\nfunction c d 90\n").unwrap();
        let measured: Lengths = [("file a", 350), ("file b", 500), ("file new", 400)]
            .map(|(subject, length)| (subject.to_owned(), length))
            .into();
        let expected: Lengths = [("file a", 350), ("file b", 400)]
            .map(|(s, n)| (s.to_owned(), n))
            .into();
        assert_eq!(ratchet.shrunk(&measured).allowed, expected);
    }

    #[test]
    fn a_list_that_cannot_be_read_is_an_error() {
        assert!(Ratchet::parse("file-without-length\n").is_err());
    }
}
