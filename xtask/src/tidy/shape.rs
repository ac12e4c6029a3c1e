//! How long files and functions are, and how the tree is spread over its crates.

use std::collections::BTreeMap;
use std::fmt;

use super::Violation;
use crate::rust_text::SourceFile;

/// No file of any kind is longer.
pub(super) const FILE_HARD_LINES: usize = 600;
/// A longer file stands in the ratchet.
pub(super) const FILE_LINES: usize = 330;
/// A longer function stands in the ratchet.
pub(super) const FUNCTION_LINES: usize = 70;
/// No crate holds a larger part of a tree of more than [`FEW_CRATES`] crates, in percent.
const CRATE_PERCENT: usize = 25;
const FEW_CRATES: usize = 6;
/// Shares mean nothing while the tree is smaller, in lines.
const SMALL_TREE_LINES: usize = 10_000;

/// Something that has a length: `file PATH` or `function PATH NAME`.
pub(super) type Lengths = BTreeMap<String, usize>;

/// Everything that is longer than its bound: what ships by the soft one, the tests of a file by the hard one.
pub(super) fn measure(files: &[SourceFile]) -> Lengths {
    let mut lengths = Lengths::new();
    for file in files {
        let shipped = file.production_length();
        let tests = file.lines.len() - shipped;
        if shipped > FILE_LINES {
            lengths.insert(format!("file {}", file.path), shipped);
        }
        if tests > FILE_HARD_LINES {
            lengths.insert(format!("file {} tests", file.path), tests);
        }
        for function in file
            .functions()
            .into_iter()
            .filter(|function| function.length > FUNCTION_LINES)
        {
            let longest = lengths
                .entry(format!("function {} {}", file.path, function.name))
                .or_default();
            *longest = function.length.max(*longest);
        }
    }
    lengths
}

/// The figures that the house compares itself by.
#[derive(Debug)]
pub(super) struct Figures {
    lines: usize,
    file_median: usize,
    file_p90: usize,
    function_p99: usize,
    largest_crate: (String, usize),
    crates: usize,
}

impl Figures {
    /// Counts production lines below `crates/`.
    pub(super) fn of(files: &[SourceFile]) -> Self {
        let shipped = || {
            files
                .iter()
                .filter(|file| file.path.starts_with("crates/") && file.production_length() > 0)
        };
        let mut by_crate: BTreeMap<&str, usize> = BTreeMap::new();
        for file in shipped() {
            *by_crate.entry(file.crate_name()).or_default() += file.production_length();
        }
        let lengths = sorted(shipped().map(SourceFile::production_length));
        let functions = sorted(
            shipped()
                .flat_map(|file| file.functions())
                .map(|function| function.length),
        );
        let lines = lengths.iter().sum();
        let largest = by_crate.iter().max_by_key(|(_, length)| **length);
        Self {
            lines,
            file_median: percentile(&lengths, 50),
            file_p90: percentile(&lengths, 90),
            function_p99: percentile(&functions, 99),
            largest_crate: largest
                .map(|(name, length)| ((*name).to_owned(), length * 100 / lines))
                .unwrap_or_default(),
            crates: by_crate.len(),
        }
    }

    /// What is over its bound.
    pub(super) fn violations(&self) -> Vec<Violation> {
        let mut over = Vec::new();
        if self.file_p90 >= FILE_LINES {
            over.push(Violation::file(
                "crates",
                format!("one file in ten has {} lines or more", self.file_p90),
            ));
        }
        if self.function_p99 >= FUNCTION_LINES {
            over.push(Violation::file(
                "crates",
                format!("one function in 100 has {} lines or more", self.function_p99),
            ));
        }
        let (name, percent) = &self.largest_crate;
        if *percent > CRATE_PERCENT && self.crates > FEW_CRATES && self.lines > SMALL_TREE_LINES {
            over.push(Violation::file(
                &format!("crates/{name}"),
                format!("holds {percent}% of the tree; divide it"),
            ));
        }
        over
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, percent) = &self.largest_crate;
        write!(
            out,
            "{} lines, files median {} and p90 {}, functions p99 {}, largest crate {name} {percent}%",
            self.lines, self.file_median, self.file_p90, self.function_p99
        )
    }
}

fn sorted(lengths: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut lengths: Vec<usize> = lengths.collect();
    lengths.sort_unstable();
    lengths
}

fn percentile(sorted: &[usize], percent: usize) -> usize {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((sorted.len() * percent / 100).min(last))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, lines: usize) -> SourceFile {
        SourceFile::new(path.into(), "let a = 1;\n".repeat(lines))
    }

    #[test]
    fn only_what_is_too_long_is_measured() {
        let long = format!("fn long() {{\n{}}}\n", "    a();\n".repeat(70));
        let files = [
            file("crates/a/src/lib.rs", 330),
            file("crates/a/src/b.rs", 331),
            SourceFile::new("crates/a/src/c.rs".into(), long),
        ];
        let lengths: Vec<(String, usize)> = measure(&files).into_iter().collect();
        let expected = [
            ("file crates/a/src/b.rs".to_owned(), 331),
            ("function crates/a/src/c.rs long".to_owned(), 72),
        ];
        assert_eq!(lengths, expected);
    }

    #[test]
    fn tests_have_the_hard_bound_of_their_own() {
        let text = |lines| {
            format!(
                "fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n",
                "    a();\n".repeat(lines)
            )
        };
        let measured = |lines| measure(&[SourceFile::new("crates/a/src/lib.rs".into(), text(lines))]);
        assert!(measured(500).is_empty());
        assert_eq!(
            measured(600).into_keys().collect::<Vec<_>>(),
            ["file crates/a/src/lib.rs tests"]
        );
    }

    #[test]
    fn a_crate_above_a_quarter_of_a_large_tree_is_refused() {
        let mut files: Vec<SourceFile> = (0..8)
            .map(|n| file(&format!("crates/c{n}/src/lib.rs"), 1_000))
            .collect();
        files.push(file("crates/big/src/lib.rs", 4_000));
        let reasons: Vec<String> = Figures::of(&files)
            .violations()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(
            reasons
                .iter()
                .any(|reason| reason.contains("crates/big: holds 33%")),
            "{reasons:?}"
        );
    }

    #[test]
    fn a_tree_of_long_files_is_refused_and_one_of_short_files_is_not() {
        let long: Vec<SourceFile> = (0..20)
            .map(|n| file(&format!("crates/c{n}/src/lib.rs"), 400))
            .collect();
        let short: Vec<SourceFile> = (0..20)
            .map(|n| file(&format!("crates/c{n}/src/lib.rs"), 100))
            .collect();
        assert_eq!(Figures::of(&long).violations().len(), 1);
        assert!(Figures::of(&short).violations().is_empty());
    }
}
