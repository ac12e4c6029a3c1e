//! What is told to whoever wrote an object: one sentence with file, line, field, reason and hint.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::key::{ObjectKey, shared_text};

/// A line and a column of a file, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// How much a diagnostic matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is wrong; something was skipped that is not ours.
    Info,
    /// The object is in force, but a part of it does not do what its writer may expect.
    Warning,
    /// The object, or this version of it, is not in force.
    Error,
}

/// One thing to tell about one object or file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// Stable kebab-case id of the kind of problem, for programs and documentation.
    pub code: &'static str,
    /// The object it is about, when its key could be read.
    pub object: Option<ObjectKey>,
    /// The file, as the source names it.
    #[serde(serialize_with = "shared_text")]
    pub file: Arc<str>,
    /// Where in the file.
    #[serde(flatten)]
    pub at: Place,
    /// Path of the field, as in `spec.rules[0].name`; empty when it is about the whole object.
    pub field: String,
    /// What was found and what was expected.
    pub reason: String,
    /// What to do about it, starting with a verb; empty when there is nothing sensible to say.
    pub hint: String,
    /// Further problems of the same object, at most 15, so that one edit can mend all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<Finding>,
}

/// A problem at one field, before it is known which object it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable kebab-case id of the kind of problem.
    pub code: &'static str,
    /// Where in the file.
    #[serde(flatten)]
    pub at: Place,
    /// Path of the field; empty when it is about the whole object.
    pub field: String,
    /// What was found and what was expected.
    pub reason: String,
    /// What to do about it, starting with a verb; may be empty.
    pub hint: String,
}

impl Finding {
    /// A finding without a hint.
    #[must_use]
    pub fn new(code: &'static str, at: Place, field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            code,
            at,
            field: field.into(),
            reason: reason.into(),
            hint: String::new(),
        }
    }

    /// The same finding with advice; `hint` starts with a verb.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The finding as a diagnostic about `object` in `file`.
    #[must_use]
    pub fn about(self, severity: Severity, object: Option<ObjectKey>, file: Arc<str>) -> Diagnostic {
        let Self {
            code,
            at,
            field,
            reason,
            hint,
        } = self;
        Diagnostic {
            severity,
            code,
            object,
            file,
            at,
            field,
            reason,
            hint,
            more: Vec::new(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        sentence(f, &self.field, &self.reason, &self.hint)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.at.line, self.at.column)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        sentence(f, &self.field, &self.reason, &self.hint)?;
        for finding in &self.more {
            write!(
                f,
                "\n  also at {}:{}: {finding}",
                finding.at.line, finding.at.column
            )?;
        }
        Ok(())
    }
}

fn sentence(f: &mut fmt::Formatter<'_>, field: &str, reason: &str, hint: &str) -> fmt::Result {
    if !field.is_empty() {
        write!(f, "{field}: ")?;
    }
    f.write_str(reason)?;
    if !hint.is_empty() {
        write!(f, " ({hint})")?;
    }
    Ok(())
}
