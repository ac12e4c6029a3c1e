//! The path of a field, as messages and lists of fields write it.

use std::fmt;

/// A step of a field path; the path is a list towards the root, so that only errors cost a string.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'a> {
    pub(super) parent: Option<&'a Path<'a>>,
    pub(super) step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    Root,
    Key(&'a str),
    /// A key that the writer chose, such as a port's name.
    Free(&'a str),
    Item(usize),
}

impl Path<'_> {
    /// The path with `[]` for any item and `*` for any free key.
    pub(super) fn pattern(&self) -> String {
        let mut pattern = self.parent.map(Path::pattern).unwrap_or_default();
        let key = match self.step {
            Step::Root => return pattern,
            Step::Item(_) => return pattern + "[]",
            Step::Key(key) => key,
            Step::Free(_) => "*",
        };
        if !pattern.is_empty() {
            pattern.push('.');
        }
        pattern + key
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Item(index) => write!(f, "[{index}]"),
            Step::Key(key) | Step::Free(key)
                if self.parent.is_none_or(|parent| matches!(parent.step, Step::Root)) =>
            {
                f.write_str(key)
            }
            Step::Key(key) | Step::Free(key) => write!(f, ".{key}"),
        }
    }
}
