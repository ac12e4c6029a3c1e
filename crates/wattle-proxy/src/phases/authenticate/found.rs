//! Where tokens are in a head: looked for, and taken out.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use wattle_http::RequestHead;
use wattle_model::TokenLocation;

use crate::phases::query;

/// Calls `visit` with every token at this place, or with `None` for one that is no text.
pub(super) fn each<E>(
    head: &RequestHead,
    location: &TokenLocation,
    mut visit: impl FnMut(Option<&str>) -> Result<(), E>,
) -> Result<(), E> {
    match location {
        TokenLocation::Header(name, prefix) => {
            for value in &head.headers.get_all(name) {
                if let Some(token) = behind(value, prefix) {
                    visit(std::str::from_utf8(token).ok())?;
                }
            }
        }
        TokenLocation::Query(name) => {
            for pair in query::pairs(head).filter(|pair| query::is_parameter(pair, name)) {
                let value = pair.split_once('=').map_or("", |(_, value)| value);
                visit(query::decoded(value).as_deref())?;
            }
        }
        TokenLocation::Cookie(name) => {
            for value in &head.headers.get_all(header::COOKIE) {
                for pair in cookies(value).filter(|pair| is_cookie(pair, name)) {
                    let value = pair.splitn(2, |byte| *byte == b'=').nth(1);
                    let value = value.unwrap_or_default().trim_ascii();
                    let bare = value
                        .strip_prefix(b"\"")
                        .and_then(|value| value.strip_suffix(b"\""));
                    visit(std::str::from_utf8(bare.unwrap_or(value)).ok())?;
                }
            }
        }
    }
    Ok(())
}

/// Takes every token at this place out of the head.
pub(super) fn remove(head: &mut RequestHead, location: &TokenLocation) {
    match location {
        TokenLocation::Header(name, prefix) => {
            keep(&mut head.headers, name, |value| match behind(value, prefix) {
                Some(_) => None,
                None => Some(value.clone()),
            });
        }
        TokenLocation::Query(name) => {
            query::remove(head, name);
        }
        TokenLocation::Cookie(name) => keep(&mut head.headers, &header::COOKIE, |value| {
            let others: Vec<_> = cookies(value).filter(|pair| !is_cookie(pair, name)).collect();
            let joined = HeaderValue::from_bytes(&others.join(&b"; "[..])).ok();
            joined.filter(|_| !others.is_empty())
        }),
    }
}

/// Removes headers of these names, also those that an application cannot tell from them: many read `_` as `-`.
pub(crate) fn remove_reserved(headers: &mut HeaderMap, reserved: &[HeaderName]) {
    for name in reserved {
        if headers.contains_key(name) {
            headers.remove(name);
        }
    }
    if reserved.is_empty() || !headers.keys().any(|name| name.as_str().contains('_')) {
        return;
    }
    let like = |name: &HeaderName| {
        let alike = |(a, b): (u8, u8)| a == b || matches!((a, b), (b'_', b'-') | (b'-', b'_'));
        reserved.iter().any(|reserved| {
            let (a, b) = (name.as_str(), reserved.as_str());
            a.len() == b.len() && a.bytes().zip(b.bytes()).all(alike)
        })
    };
    let alike: Vec<_> = headers.keys().filter(|name| like(name)).cloned().collect();
    for name in alike {
        headers.remove(name);
    }
}

/// What comes behind the prefix; `None` without it. A scheme such as `Bearer ` has no case and may have more blanks behind
/// it (RFC 9110 §11.1 and §11.4), and a scheme without a token is an empty one.
fn behind<'v>(value: &'v HeaderValue, prefix: &str) -> Option<&'v [u8]> {
    let value = value.as_bytes();
    let Some(scheme) = prefix.strip_suffix(' ') else {
        return value.strip_prefix(prefix.as_bytes()).map(<[u8]>::trim_ascii);
    };
    let (start, rest) = value.split_at_checked(scheme.len())?;
    let ends = rest.first().is_none_or(u8::is_ascii_whitespace);
    (ends && start.eq_ignore_ascii_case(scheme.as_bytes())).then(|| rest.trim_ascii())
}

/// Replaces the values of a header; `None` drops one.
fn keep(headers: &mut HeaderMap, name: &HeaderName, kept: impl Fn(&HeaderValue) -> Option<HeaderValue>) {
    let values: Vec<_> = headers.get_all(name).iter().filter_map(kept).collect();
    headers.remove(name);
    for value in values {
        headers.append(name, value);
    }
}

fn cookies(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let pairs = value.as_bytes().split(|byte| *byte == b';');
    pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}

fn is_cookie(pair: &[u8], name: &str) -> bool {
    let key = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
    key.len() < pair.len() && key.trim_ascii() == name.as_bytes()
}

#[cfg(test)]
mod tests;
