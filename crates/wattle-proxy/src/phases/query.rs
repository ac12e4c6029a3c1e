//! Parameters of a query, compared as the application reads them.

use std::borrow::Cow;
use std::fmt::Write as _;

use wattle_http::RequestHead;

/// The parameters of the query as they were written.
pub(crate) fn pairs(head: &RequestHead) -> impl Iterator<Item = &str> {
    let query = head.path_and_query.as_str().split_once('?');
    query.map_or("", |(_, query)| query).split('&')
}

pub(crate) fn is_parameter(pair: &str, name: &str) -> bool {
    let key = pair.split_once('=').map_or(pair, |(key, _)| key);
    decoded(key).as_deref() == Some(name)
}

/// Takes every parameter of this name out; the others stay as they were written.
pub(crate) fn remove(head: &mut RequestHead, name: &str) {
    let Some((path, _)) = head.path_and_query.as_str().split_once('?') else {
        return;
    };
    let others: Vec<_> = pairs(head).filter(|pair| !is_parameter(pair, name)).collect();
    let mut target = path.to_owned();
    if !others.is_empty() {
        target.push('?');
        target.push_str(&others.join("&"));
    }
    head.path_and_query = target.into();
}

/// Sets a parameter in place of all of its name.
pub(crate) fn set(head: &mut RequestHead, name: &str, value: &str) {
    remove(head, name);
    let mut target = head.path_and_query.as_str().to_owned();
    target.push(if target.contains('?') { '&' } else { '?' });
    encode(&mut target, name);
    target.push('=');
    encode(&mut target, value);
    head.path_and_query = target.into();
}

/// Percent-encodes all but unreserved characters (RFC 3986 §2.3).
fn encode(target: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                target.push(char::from(byte))
            }
            // Writing to a String cannot fail.
            _ => drop(write!(target, "%{byte:02X}")),
        }
    }
}

/// A part of a query as the application reads it; `None` when it is no text.
pub(crate) fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped = behind.first_chunk::<2>().filter(|_| *first == b'%').and_then(hex);
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn hex(digits: &[u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn a_parameter_is_set_in_place_of_all_of_its_name_and_taken_out_however_it_is_written() {
        let mut head = RequestHead::new(Method::GET, "a", "/p?a=1&b=2&%61=3&c");
        set(&mut head, "a", "x&y=z ä");
        assert_eq!(head.path_and_query.as_str(), "/p?b=2&c&a=x%26y%3Dz%20%C3%A4");
        remove(&mut head, "b");
        remove(&mut head, "c");
        remove(&mut head, "a");
        assert_eq!(head.path_and_query.as_str(), "/p");
        set(&mut head, "d", "");
        assert_eq!(head.path_and_query.as_str(), "/p?d=");
    }
}
