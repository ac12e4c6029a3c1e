//! Names, host names and labels, by the rules of Kubernetes and DNS.

use crate::decode::{Cursor, Decoded};
use crate::meta::Labels;
use crate::scalar::{text, texts};
use crate::tree::quote;

/// An RFC 1123 label: at most 63 of `a-z`, `0-9` and inner `-`.
pub(crate) fn label(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = text(cursor)?;
    if is_label(&text) {
        return Ok(text);
    }
    let reason = format!(
        "found {}, expected 1 to 63 of a-z, 0-9 and - inside",
        quote(&text)
    );
    Err(cursor.refuse_with("invalid-name", reason, &suggestion(&text)))
}

/// An RFC 1123 subdomain: labels with dots between, at most 253 characters.
pub(crate) fn subdomain(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = text(cursor)?;
    if is_subdomain(&text) {
        return Ok(text);
    }
    let reason = format!(
        "found {}, expected 1 to 253 of a-z, 0-9, - and . inside",
        quote(&text)
    );
    Err(cursor.refuse_with("invalid-name", reason, &suggestion(&text)))
}

fn suggestion(text: &str) -> String {
    let lower = text.to_lowercase().replace(['_', ' '], "-");
    if is_subdomain(&lower) {
        format!("write {lower}")
    } else {
        String::new()
    }
}

/// Whether it is an RFC 1123 label.
#[must_use]
pub fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bytes.len() <= 63
        && bytes.first().is_some_and(inner)
        && bytes.last().is_some_and(inner)
        && bytes.iter().all(|byte| inner(byte) || *byte == b'-')
}

/// Whether it is an RFC 1123 subdomain.
pub(crate) fn is_subdomain(text: &str) -> bool {
    // A label inside a subdomain may be longer than 63 in Kubernetes; DNS would refuse it, so it is refused here.
    text.len() <= 253 && !text.is_empty() && text.split('.').all(is_label)
}

/// A host name as the Gateway API takes it: a subdomain, with `*.` in front where `wildcard` allows it.
pub(crate) fn hostname(cursor: &Cursor<'_>, wildcard: bool) -> Decoded<String> {
    let text = text(cursor)?;
    let name = if wildcard {
        text.strip_prefix("*.").unwrap_or(&text)
    } else {
        &text
    };
    if !is_subdomain(name) || name.parse::<std::net::IpAddr>().is_ok() {
        let expected = if wildcard {
            "a host name or *.host name"
        } else {
            "a host name"
        };
        return Err(cursor.refuse(
            "invalid-hostname",
            format!("found {}, expected {expected}", quote(&text)),
        ));
    }
    Ok(text)
}

/// Labels: keys and values as Kubernetes demands.
pub(crate) fn labels(cursor: &Cursor<'_>) -> Decoded<Labels> {
    let labels = texts(cursor)?;
    match labels
        .iter()
        .find(|(key, value)| !is_label_key(key) || !is_label_word(value, true))
    {
        None => Ok(labels),
        Some((key, value)) => {
            let shown = quote(&format!("{key}: {value}"));
            let reason =
                format!("found the label {shown}, expected at most 63 of letters, digits, -, _ and . inside");
            Err(cursor.refuse("invalid-label", reason))
        }
    }
}

fn is_label_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_label_word(name, false),
        None => is_label_word(key, false),
    }
}

fn is_label_word(word: &str, may_be_empty: bool) -> bool {
    let bytes = word.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return may_be_empty;
    };
    bytes.len() <= 63
        && first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}
