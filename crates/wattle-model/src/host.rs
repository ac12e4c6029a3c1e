//! Host names of requests and of TLS ClientHellos, and what is compared with them.

use std::fmt;

/// A host that is compared without regard to ASCII case; the port of an authority is no part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostMatch {
    /// This host; lower case.
    Exact(Box<str>),
    /// Any host that ends in this, which starts with a dot, and is longer (`*.example.com` is `.example.com`); lower case.
    Suffix(Box<str>),
    /// Any host.
    Any,
}

impl HostMatch {
    /// Reads `a.example`, `*.example` or `*`; a `*` elsewhere stands for itself and so matches nothing.
    pub fn parse(text: &str) -> Self {
        if text == "*" {
            return Self::Any;
        }
        let lower = text.to_ascii_lowercase();
        match lower.strip_prefix('*') {
            Some(suffix) if suffix.starts_with('.') => Self::Suffix(suffix.into()),
            _ => Self::Exact(lower.into()),
        }
    }

    /// Does `host`, without a port, match?
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted.eq_ignore_ascii_case(host),
            Self::Suffix(suffix) => {
                let start = host.len().checked_sub(suffix.len());
                start.is_some_and(|start| start > 0 && ends_with(host, start, suffix))
            }
            Self::Any => true,
        }
    }

    /// Does every host that `other` matches match here too?
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Any) => false,
            (_, Self::Exact(host)) => self.matches(host),
            (Self::Suffix(suffix), Self::Suffix(narrower)) => narrower.ends_with(&**suffix),
            (Self::Exact(_), Self::Suffix(_)) => false,
        }
    }
}

fn ends_with(host: &str, start: usize, suffix: &str) -> bool {
    host.as_bytes()[start..].eq_ignore_ascii_case(suffix.as_bytes())
}

impl fmt::Display for HostMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Suffix(suffix) => write!(f, "*{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// The host of an authority, without its port.
pub fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|byte| byte.is_ascii_digit())
                && (!host.contains(':') || host.ends_with(']')) =>
        {
            host
        }
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_or_more_labels_and_never_for_none() {
        let table = [
            ("a.example", "a.example", true),
            ("a.example", "A.Example", true),
            ("a.example", "b.a.example", false),
            ("*.example", "a.example", true),
            ("*.example", "b.a.EXAMPLE", true),
            ("*.example", "example", false),
            ("*.example", ".example", false),
            ("*.example", "aexample", false),
            ("*", "anything", true),
            ("a*.example", "ab.example", false),
        ];
        for (wanted, host, expected) in table {
            assert_eq!(
                HostMatch::parse(wanted).matches(host),
                expected,
                "{wanted} {host}"
            );
        }
    }

    #[test]
    fn a_pattern_covers_what_it_matches() {
        let covers = |a: &str, b: &str| HostMatch::parse(a).covers(&HostMatch::parse(b));
        assert!(
            covers("*", "*.example")
                && covers("*.example", "a.example")
                && covers("*.example", "*.a.example")
        );
        assert!(
            !covers("*.a.example", "*.example")
                && !covers("a.example", "*.example")
                && !covers("*.example", "*")
        );
    }

    #[test]
    fn the_port_is_no_part_of_the_host() {
        for (authority, host) in [
            ("a:80", "a"),
            ("a", "a"),
            ("[::1]:80", "[::1]"),
            ("::1", "::1"),
            ("a:b", "a:b"),
        ] {
            assert_eq!(host_of(authority), host);
        }
    }
}
