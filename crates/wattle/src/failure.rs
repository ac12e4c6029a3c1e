//! How a failure is told: what was attempted, the chain of causes, and what to do about it.

use std::fmt;
use std::process::ExitCode;

use serde_json::json;

use crate::output::Format;

/// Exit code of a command that failed, or whose answer is "no".
pub(crate) const FAILED: u8 = 1;

/// Longest chain of causes that is printed.
const MAX_CAUSES: usize = 16;

/// A failure with advice for whoever reads it.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    /// Begins with a verb.
    hint: String,
    source: Option<anyhow::Error>,
}

impl Failure {
    /// A failure that nothing else caused.
    pub(crate) fn error(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
        Self {
            message: message.into(),
            hint: hint.into(),
            source: None,
        }
        .into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Adds what was attempted and what to do about its failure.
pub(crate) trait Advise<T> {
    /// The same result, whose failure has a message and a hint that begins with a verb.
    fn advise(self, message: impl Into<String>, hint: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Advise<T> for Result<T, E> {
    fn advise(self, message: impl Into<String>, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| {
            Failure {
                message: message.into(),
                hint: hint.into(),
                source: Some(error.into()),
            }
            .into()
        })
    }
}

/// The failure and its causes, outermost first, without repetitions.
pub(crate) fn causes(error: &anyhow::Error) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    for cause in error.chain().take(MAX_CAUSES) {
        let sentence = cause.to_string();
        // Some libraries repeat the cause in their own sentence.
        if !causes.last().is_some_and(|last| last.ends_with(&sentence)) {
            causes.push(sentence);
        }
    }
    causes
}

fn hint(error: &anyhow::Error) -> Option<&str> {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Failure>())
        .map(|failure| failure.hint.as_str())
}

/// The text for people.
fn text(error: &anyhow::Error) -> String {
    let mut text = format!("error: {}\n", causes(error).join("\n  caused by: "));
    if let Some(hint) = hint(error) {
        text.push_str(&format!("hint: {hint}\n"));
    }
    text
}

/// Prints a failure on standard error, in the format asked for, and gives the exit code.
pub(crate) fn report(error: &anyhow::Error, format: Format) -> ExitCode {
    match format {
        Format::Text => eprint!("{}", text(error)),
        Format::Json => eprintln!(
            "{}",
            json!({ "error": { "causes": causes(error), "hint": hint(error) } })
        ),
    }
    ExitCode::from(FAILED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> anyhow::Error {
        let cause: Result<(), _> = Err(std::io::Error::from(std::io::ErrorKind::NotFound));
        let error = cause.advise("cannot reach the mesh `shop`", "start it with `wattle up DIR`");
        error
            .map_err(|error| error.context("cannot list processes"))
            .expect_err("made as a failure")
    }

    #[test]
    fn a_failure_is_told_with_its_causes_and_a_hint() {
        let expected = "error: cannot list processes\n  caused by: cannot reach the mesh `shop`\n  \
                        caused by: entity not found\nhint: start it with `wattle up DIR`\n";
        assert_eq!(text(&example()), expected);
    }

    #[test]
    fn a_cause_that_its_parent_already_quotes_is_not_repeated() {
        let inner = anyhow::anyhow!("no such file");
        let error = inner.context("cannot open: no such file");
        assert_eq!(causes(&error), ["cannot open: no such file"]);
    }
}
