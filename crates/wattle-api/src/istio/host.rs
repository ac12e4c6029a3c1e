//! A host name that may be a pattern: `*`, `*.example.com`, a name, or an address.

use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded};
use crate::scalar;
use crate::tree::quote;

/// A host, or hosts by the end of their names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// `*`: every host.
    Any,
    /// `*.NAME`: every name below this one.
    Below(String),
    /// One name; without a dot it is a Service of the object's namespace.
    Name(String),
    /// One address.
    Address(IpAddr),
}

impl Host {
    /// Whether every host that `other` stands for is one that this stands for.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Below(parent), Self::Name(name)) => is_below(name, parent),
            (Self::Below(parent), Self::Below(child)) => child == parent || is_below(child, parent),
            _ => self == other,
        }
    }

    /// Whether it stands for more than one host.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        matches!(self, Self::Any | Self::Below(_))
    }
}

fn is_below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent)
        .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Below(name) => write!(f, "*.{name}"),
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Any of the forms.
pub(crate) fn host(cursor: &Cursor<'_>) -> Decoded<Host> {
    let text = scalar::text(cursor)?;
    read(&text).ok_or_else(|| {
        let lower = text.to_ascii_lowercase();
        let hint = match read(&lower) {
            Some(_) => format!("write {lower}"),
            None => String::new(),
        };
        let reason = format!(
            "found {}, expected a host name, *.host name, * or an address",
            quote(&text)
        );
        cursor.refuse_with("invalid-hostname", reason, &hint)
    })
}

/// Anything but an address.
pub(crate) fn name(cursor: &Cursor<'_>) -> Decoded<Host> {
    match host(cursor)? {
        Host::Address(address) => {
            let reason = format!("found the address {address}, expected a host name or *.host name");
            Err(cursor.refuse("invalid-hostname", reason))
        }
        other => Ok(other),
    }
}

/// Reads any of the forms.
pub(crate) fn read(text: &str) -> Option<Host> {
    if text == "*" {
        return Some(Host::Any);
    }
    if let Ok(address) = text.parse() {
        return Some(Host::Address(address));
    }
    // A name whose last label is a number would be taken for a bad address.
    let named = |name: &str| {
        let last = name.rsplit('.').next().unwrap_or(name);
        scalar::is_subdomain(name) && !last.bytes().all(|byte| byte.is_ascii_digit())
    };
    match text.strip_prefix("*.") {
        Some(rest) => named(rest).then(|| Host::Below(rest.to_owned())),
        None => named(text).then(|| Host::Name(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_pattern_covers_what_is_below_it_and_nothing_beside_it() {
        let covers = |left: &str, right: &str| read(left).unwrap().covers(&read(right).unwrap());
        assert!(covers("*", "10.0.0.1"));
        assert!(covers("*.example.com", "a.b.example.com"));
        assert!(covers("*.example.com", "*.b.example.com"));
        assert!(covers("*.example.com", "*.example.com"));
        assert!(!covers("*.example.com", "example.com"));
        assert!(!covers("*.example.com", "badexample.com"));
        assert!(!covers("*.b.example.com", "*.example.com"));
        assert!(!covers("a.example.com", "*.example.com"));
    }

    #[test]
    fn what_looks_like_a_bad_address_is_no_name() {
        assert_eq!(read("10.0.0"), None);
        assert_eq!(read("*foo.com"), None);
        assert_eq!(read(""), None);
    }
}
