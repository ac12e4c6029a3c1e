//! The request line of HTTP/1 (RFC 9112 section 3).

use super::Verdict;

/// Longest method looked for; the longest registered one has 16 letters.
const METHOD_LIMIT_BYTES: usize = 32;

const VERSION: &[u8] = b"HTTP/1.";

/// Wants all of `TOKEN SP target SP HTTP/1.0|1.1 [CR] LF`: with less, `EHLO example.org` of SMTP or
/// an inline command of Redis would pass for a request.
pub(super) fn classify(look: &[u8]) -> Verdict {
    let method = look.iter().take_while(|byte| is_token(**byte)).count();
    if method > METHOD_LIMIT_BYTES {
        return Verdict::Opaque;
    }
    match look.get(method) {
        None => Verdict::NeedMore,
        Some(b' ') if method > 0 => classify_target(&look[method + 1..]),
        Some(_) => Verdict::Opaque,
    }
}

fn classify_target(rest: &[u8]) -> Verdict {
    let target = rest.iter().take_while(|byte| is_target(**byte)).count();
    match rest.get(target) {
        None if rest.is_empty() || may_start_target(rest[0]) => Verdict::NeedMore,
        Some(b' ') if target > 0 && may_start_target(rest[0]) => classify_version(&rest[target + 1..]),
        _ => Verdict::Opaque,
    }
}

fn classify_version(rest: &[u8]) -> Verdict {
    let common = rest.len().min(VERSION.len());
    if rest[..common] != VERSION[..common] {
        return Verdict::Opaque;
    }
    match &rest[common..] {
        [] | [b'0' | b'1'] | [b'0' | b'1', b'\r'] => Verdict::NeedMore,
        [b'0' | b'1', b'\n', ..] | [b'0' | b'1', b'\r', b'\n', ..] => Verdict::Http1,
        _ => Verdict::Opaque,
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Visible ASCII, and bytes above it that real clients send unescaped.
fn is_target(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f
}

/// A path, `*`, an absolute URI, or the authority of CONNECT.
fn may_start_target(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'*' | b'[' | b'_')
}
