//! What consistent hashing hashes.

use http::{HeaderName, HeaderValue};
use std::net::IpAddr;
use std::time::Duration;

use super::HashFacts;
use crate::RequestFacts;
use crate::chance::mixed;
use crate::compare::{first_parameter, joined_header};
use crate::cookie::{SetCookie, cookie};

/// The part of a request that decides which endpoint it goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// A header's value.
    Header(HeaderName),
    /// A cookie's value.
    Cookie {
        /// Its name.
        name: Box<str>,
        /// Path of the cookie that is set where none came.
        path: Box<str>,
        /// Its life; `None` sets no cookie, zero one that ends with the browser.
        ttl: Option<Duration>,
    },
    /// The caller's address.
    SourceAddress,
    /// A query parameter's value.
    Query(Box<str>),
}

impl HashKey {
    /// The hash of `request`; `None` when it lacks what is hashed.
    pub fn hash(&self, request: &RequestFacts<'_>, facts: HashFacts) -> Option<u64> {
        match self {
            Self::Header(name) => joined_header(request.headers, name).map(|value| hash_text(&value)),
            Self::Cookie { name, .. } => cookie(request.headers, name).map(hash_text),
            Self::SourceAddress => Some(hash_address(facts.address)),
            Self::Query(name) => first_parameter(request.query, name).map(|value| hash_text(&value)),
        }
    }

    /// The hash of a request that lacks the cookie, and the cookie that gives later ones the same; `None` where none is to
    /// be set. `random` becomes its value, which says nothing of the endpoint; `secure` when the client spoke TLS.
    pub fn fresh(&self, random: u64, secure: bool) -> Option<(u64, HeaderValue)> {
        let Self::Cookie {
            name,
            path,
            ttl: Some(ttl),
        } = self
        else {
            return None;
        };
        let value = format!("{random:016x}");
        let cookie = SetCookie {
            name,
            value: &value,
            path,
            max_age: Some(*ttl).filter(|ttl| !ttl.is_zero()),
            secure,
        };
        Some((hash_text(&value), cookie.header()?))
    }
}

/// The hash of a text, the same in every proxy.
pub fn hash_text(text: &str) -> u64 {
    hash_bytes(text.as_bytes())
}

/// The hash of an address, the same in every proxy.
pub fn hash_address(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => hash_bytes(&address.octets()),
        IpAddr::V6(address) => hash_bytes(&address.octets()),
    }
}

/// FNV-1a, then mixed: its upper bits alone are poor for short texts.
fn hash_bytes(bytes: &[u8]) -> u64 {
    mixed(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::Ipv4Addr;

    use http::HeaderMap;

    use super::*;

    #[test]
    fn a_request_without_the_cookie_gets_one_that_hashes_to_where_it_went() {
        let key = |ttl| HashKey::Cookie {
            name: "session".into(),
            path: "/shop".into(),
            ttl,
        };
        let (hash, set) = key(Some(Duration::from_secs(60))).fresh(255, false).unwrap();
        assert_eq!(set, "session=00000000000000ff; Path=/shop; Max-Age=60; HttpOnly");
        let mut headers = HeaderMap::new();
        headers.insert("cookie", HeaderValue::from_static("session=00000000000000ff"));
        let facts = HashFacts {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let again = key(None).hash(&RequestFacts::example(&headers), facts);
        assert_eq!(again, Some(hash));
        let (_, ends_with_the_browser) = key(Some(Duration::ZERO)).fresh(1, true).unwrap();
        assert_eq!(
            ends_with_the_browser,
            "session=0000000000000001; Path=/shop; HttpOnly; Secure"
        );
        assert_eq!(key(None).fresh(1, false), None);
    }

    #[test]
    fn each_key_hashes_its_part_of_the_request_and_nothing_else() {
        let mut headers = HeaderMap::new();
        headers.insert("x-user", HeaderValue::from_static("ann"));
        headers.insert("cookie", HeaderValue::from_static("a=b; session=\"ann\""));
        let request = RequestFacts {
            query: Some("q=1&user=ann"),
            ..RequestFacts::example(&headers)
        };
        let facts = HashFacts {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let cookie = |name: &str| HashKey::Cookie {
            name: name.into(),
            path: "/".into(),
            ttl: None,
        };
        let ann = Some(hash_text("ann"));
        assert_eq!(
            HashKey::Header(HeaderName::from_static("x-user")).hash(&request, facts),
            ann
        );
        assert_eq!(HashKey::Query("user".into()).hash(&request, facts), ann);
        assert_eq!(cookie("session").hash(&request, facts), ann);
        assert_eq!(cookie("other").hash(&request, facts), None);
        assert!(
            HashKey::SourceAddress
                .hash(&request, facts)
                .is_some_and(|hash| Some(hash) != ann)
        );
    }
}
