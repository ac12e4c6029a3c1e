//! What consistent hashing hashes.

use http::HeaderName;
use std::net::IpAddr;
use std::time::Duration;

use super::HashFacts;
use crate::RequestFacts;
use crate::chance::mixed;
use crate::compare::{first_parameter, joined_header};

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
}

/// The value of a cookie (RFC 6265 §4.2); the first of several.
pub fn cookie<'a>(headers: &'a http::HeaderMap, name: &str) -> Option<&'a str> {
    let sent = headers.get_all(http::header::COOKIE).iter();
    let pairs = sent
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim_matches('"'))
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
    use std::net::Ipv4Addr;

    use http::{HeaderMap, HeaderValue};

    use super::*;

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
