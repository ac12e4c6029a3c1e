//! Header fields that belong to one hop (RFC 9110 §7.6.1), as pure functions.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Whether a comma-separated field holds this token, without regard to case.
pub fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    (headers.get_all(name).iter())
        .any(|value| tokens(value).any(|found| found.eq_ignore_ascii_case(token.as_bytes())))
}

pub(crate) fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

/// What [`strip_hop_by_hop`] saw.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stripped {
    /// The protocols of an upgrade that was asked for, to be put back by [`restore_upgrade`] if it is to be forwarded.
    pub upgrade: Option<HeaderValue>,
    /// There are fields named `wattle-…`, which proxies of the mesh tell each other.
    pub of_the_mesh: bool,
}

/// Removes what belongs to this hop: the fields `connection` names, and those that are hop-by-hop by nature.
///
/// An upgrade to `h2c` is never forwarded: it would hide requests from every hop that passes it on.
/// `te: trailers` stays, since gRPC needs it end to end.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) -> Stripped {
    let found = Found::among(headers);
    let upgrade = if found.of_this_hop {
        upgrade_asked_for(headers)
    } else {
        None
    };
    if found.of_this_hop {
        for value in take_all(headers, &header::CONNECTION) {
            tokens(&value).for_each(|name| remove_named(headers, name));
        }
        OF_THIS_HOP.iter().for_each(|name| drop(headers.remove(name)));
    }
    if found.te && !is_te_trailers(headers) {
        let trailers = has_token(headers, &header::TE, "trailers");
        headers.remove(header::TE);
        if trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
    }
    Stripped {
        upgrade,
        of_the_mesh: found.of_the_mesh,
    }
}

/// Whether `te` says nothing but `trailers`, as gRPC does.
fn is_te_trailers(headers: &HeaderMap) -> bool {
    let mut said = headers.get_all(header::TE).iter();
    said.next().is_some_and(|te| te == "trailers") && said.next().is_none()
}

fn upgrade_asked_for(headers: &HeaderMap) -> Option<HeaderValue> {
    let asked = headers.get(header::UPGRADE)?;
    let wanted =
        has_token(headers, &header::CONNECTION, "upgrade") && !has_token(headers, &header::UPGRADE, "h2c");
    wanted.then(|| asked.clone())
}

fn take_all(headers: &mut HeaderMap, name: &HeaderName) -> Vec<HeaderValue> {
    let values = headers.get_all(name).iter().cloned().collect();
    headers.remove(name);
    values
}

/// Fields that `connection` may not make anyone drop: they carry the message's framing, or outlive the hop.
fn remove_named(headers: &mut HeaderMap, name: &[u8]) {
    let kept: [&HeaderName; 3] = [&header::CONTENT_LENGTH, &header::HOST, &header::TE];
    if let Ok(name) = HeaderName::from_bytes(name)
        && !kept.contains(&&name)
    {
        headers.remove(&name);
    }
}

/// Puts an upgrade back that [`strip_hop_by_hop`] took out.
pub fn restore_upgrade(headers: &mut HeaderMap, protocols: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocols);
}

/// What HTTP/2 forbids in a head or trailers (RFC 9113 §8.2.2).
pub(crate) fn strip_for_h2(headers: &mut HeaderMap) {
    let found = Found::among(headers);
    if found.of_this_hop {
        OF_THIS_HOP.iter().for_each(|name| drop(headers.remove(name)));
    }
    if found.te && !is_te_trailers(headers) {
        headers.remove(header::TE);
    }
}

/// What belongs to one hop by its nature, but for `te`.
static OF_THIS_HOP: [HeaderName; 5] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What of it a message has. Most have nothing: names are looked through once, by their lengths first, since a lookup of each
/// of ours would hash it.
#[derive(Default)]
struct Found {
    of_this_hop: bool,
    te: bool,
    of_the_mesh: bool,
}

impl Found {
    fn among(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for name in headers.keys() {
            let text = name.as_str().as_bytes();
            match text.len() {
                7 | 10 | 16 | 17 => found.of_this_hop |= OF_THIS_HOP.contains(name),
                2 => found.te |= text == b"te",
                _ => {}
            }
            found.of_the_mesh |= text.starts_with(b"wattle-");
        }
        found
    }
}

/// Fields that frame or route a message, or say who sends it: too late in a trailer, where nobody checked them.
static NEVER_TRAILERS: [HeaderName; 14] = [
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    header::SET_COOKIE,
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-client-cert"),
];

/// Removes fields that may not come as trailers, since they would change how the message is read (RFC 9110 §6.5.1).
pub(crate) fn strip_from_trailers(trailers: &mut HeaderMap) {
    // Mostly they are gRPC's status, which needs no further look.
    let is_grpcs = |name: &HeaderName| matches!(name.as_str(), "grpc-status" | "grpc-message");
    if trailers.keys().all(is_grpcs) {
        return;
    }
    strip_for_h2(trailers);
    if trailers.keys().any(|name| NEVER_TRAILERS.contains(name)) {
        for name in &NEVER_TRAILERS {
            trailers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_hop_is_found_by_its_length() {
        for name in &OF_THIS_HOP {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static("x"));
            strip_for_h2(&mut headers);
            assert!(headers.is_empty(), "{name}");
        }
    }
}
