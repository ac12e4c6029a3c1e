//! The names outside that a workload is kept to.

use std::collections::HashSet;

use crate::names::{MAX_NAMES, NameError, normal};

/// Longest reason that is told to clients, in bytes.
const REASON_LIMIT: usize = 255;

/// Which names resolvers may be asked for besides those of the table.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outside {
    exact: HashSet<Box<str>>,
    /// Without the `*.`.
    below: HashSet<Box<str>>,
    reason: Box<str>,
}

impl Outside {
    /// No name; `reason` is told to clients that ask for others, 255 bytes of it at most.
    #[must_use]
    pub fn nothing(mut reason: String) -> Self {
        reason.truncate(reason.floor_char_boundary(REASON_LIMIT));
        Self {
            reason: reason.into(),
            ..Self::default()
        }
    }

    /// Adds a name, or `*.` and a suffix for all below it.
    ///
    /// # Errors
    /// When it is no name, or there are [`MAX_NAMES`] already.
    pub fn add(&mut self, host: &str) -> Result<(), NameError> {
        if self.exact.len() + self.below.len() >= MAX_NAMES {
            return Err(NameError::Full {
                name: host.to_owned(),
            });
        }
        match host.strip_prefix("*.") {
            Some(suffix) => self.below.insert(normal(suffix)?.into()),
            None => self.exact.insert(normal(host)?.into()),
        };
        Ok(())
    }

    /// Whether a name may be asked for; in small letters, without the final dot.
    pub(crate) fn has(&self, name: &str) -> bool {
        // A byte that no host has is written with a backslash, a dot within a label too: that is no separator.
        let is_plain = !name.contains('\\');
        let mut above = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
        is_plain && (self.exact.contains(name) || above.any(|suffix| self.below.contains(suffix)))
    }

    /// Why others may not be.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_and_what_is_below_a_pattern_may_be_asked_for_and_nothing_beside() {
        let mut outside = Outside::nothing("a policy".to_owned());
        outside.add("API.example.com.").unwrap();
        outside.add("*.example.org").unwrap();
        assert!(outside.add("no name").is_err());
        for (name, expected) in [
            ("api.example.com", true),
            ("x.api.example.com", false),
            ("example.org", false),
            ("a.example.org", true),
            ("a.b.example.org", true),
            ("notexample.org", false),
            ("a\\.example.org", false),
            ("a\\000.example.org", false),
            ("", false),
        ] {
            assert_eq!(outside.has(name), expected, "{name}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        assert_eq!(Outside::nothing("é".repeat(200)).reason().len(), 254);
    }
}
