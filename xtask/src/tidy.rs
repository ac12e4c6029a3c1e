//! `cargo xtask tidy`: what the house style asks for and a compiler does not see. Violations that were there
//! when a rule came are listed in `xtask/ratchet.txt`, which may only shrink.

mod docs;
mod marks;
mod names;
mod pinned;
mod ratchet;
mod shape;
mod threats;

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::rust_text::SourceFile;

/// Whether to check only, or to shrink the ratchet as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Check,
    Update,
}

/// One place that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    path: String,
    /// Counted from one; zero where the whole file is meant.
    line: usize,
    reason: String,
}

impl Violation {
    fn at(path: &str, line: usize, reason: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            reason: reason.into(),
        }
    }

    fn file(path: &str, reason: impl Into<String>) -> Self {
        Self::at(path, 0, reason)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(out, "{}: {}", self.path, self.reason),
            line => write!(out, "{}:{line}: {}", self.path, self.reason),
        }
    }
}

/// Checks every rule and prints each violation and the figures of the tree.
pub(crate) fn run(root: &Path, mode: Mode) -> Result<()> {
    let files = crate::tree::rust_files(root)?;
    let allowed = ratchet::Ratchet::read(root)?;
    let measured = shape::measure(&files);
    if mode == Mode::Update {
        allowed
            .shrunk(&measured)
            .write(root)
            .context("writing the ratchet")?;
        println!("tidy: the ratchet holds what is still there; run `cargo xtask tidy` to check");
        return Ok(());
    }
    let mut violations = text_violations(&files);
    violations.extend(docs::check(root, &files)?);
    violations.extend(threats::check(root, &files)?);
    violations.extend(pinned::check(root)?);
    violations.extend(allowed.check(&measured));
    let figures = shape::Figures::of(&files);
    violations.extend(figures.violations());
    for violation in &violations {
        println!("tidy: {violation}");
    }
    println!("tidy: {figures}");
    if !violations.is_empty() {
        bail!("{} tidy violations", violations.len());
    }
    Ok(())
}

fn text_violations(files: &[SourceFile]) -> Vec<Violation> {
    files
        .iter()
        .flat_map(|file| [names::check(file), marks::check(file)])
        .flatten()
        .collect()
}
