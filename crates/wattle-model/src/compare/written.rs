//! Predicates as people read them.

use std::fmt;

use crate::{HostMatch, PathMatch, RequestMatch, TextMatch};

pub(super) struct Unlike<'a>(pub(super) &'a PathMatch);

impl fmt::Display for Unlike<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            PathMatch::Exact(path) => write!(f, "is not {path}"),
            PathMatch::Prefix(prefix) | PathMatch::StartsWith(prefix) => {
                write!(f, "does not start with {prefix}")
            }
            PathMatch::ExactAnyCase(path) => write!(f, "is not {path} in any case"),
            PathMatch::StartsWithAnyCase(prefix) => write!(f, "does not start with {prefix} in any case"),
            PathMatch::Regex(pattern) => write!(f, "does not match the expression {}", pattern.as_str()),
        }
    }
}

/// A text without quotes around it where it is compared as a whole, as methods and schemes are written.
pub(super) struct Bare<'a>(pub(super) &'a TextMatch);

impl fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            TextMatch::Exact(text) => f.write_str(text),
            other => other.fmt(f),
        }
    }
}

pub(super) struct Hosts<'a>(pub(super) &'a [HostMatch]);

impl fmt::Display for Hosts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, host) in self.0.iter().enumerate() {
            write!(f, "{}{host}", if index == 0 { "" } else { " or " })?;
        }
        Ok(())
    }
}

impl fmt::Display for TextMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => write!(f, "{text:?}"),
            Self::Prefix(text) => write!(f, "\"{text}*\""),
            Self::Suffix(text) => write!(f, "\"*{text}\""),
            Self::Present => f.write_str("any value"),
            Self::Regex(pattern) => write!(f, "the expression {}", pattern.as_str()),
        }
    }
}

impl fmt::Display for PathMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => write!(f, "path = {path}"),
            Self::Prefix(path) => write!(f, "path below {path}"),
            Self::StartsWith(path) => write!(f, "path = {path}*"),
            Self::ExactAnyCase(path) => write!(f, "path = {path} in any case"),
            Self::StartsWithAnyCase(path) => write!(f, "path = {path}* in any case"),
            Self::Regex(pattern) => write!(f, "path ~ {}", pattern.as_str()),
        }
    }
}

impl fmt::Display for RequestMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.hosts.is_empty() {
            parts.push(format!("host {}", Hosts(&self.hosts)));
        }
        parts.extend(self.path.iter().map(ToString::to_string));
        let texts = [
            ("method", &self.method),
            ("scheme", &self.scheme),
            ("authority", &self.authority),
        ];
        for (what, wanted) in texts {
            parts.extend(wanted.iter().map(|wanted| format!("{what} {}", Bare(wanted))));
        }
        parts.extend(self.headers.iter().map(|header| {
            let not = if header.inverted { "not " } else { "" };
            format!("header {} {not}{}", header.name, header.value)
        }));
        parts.extend(
            self.query
                .iter()
                .map(|query| format!("query {} {}", query.name, query.value)),
        );
        parts.extend(
            self.caller_labels
                .iter()
                .map(|(key, value)| format!("caller {key}={value}")),
        );
        if parts.is_empty() {
            f.write_str("any request")
        } else {
            f.write_str(&parts.join(", "))
        }
    }
}
