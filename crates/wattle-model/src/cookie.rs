//! Cookies (RFC 6265).

use std::fmt::Write as _;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};

/// The value of a cookie (RFC 6265 §4.2); the first of several.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let sent = headers.get_all(header::COOKIE).iter();
    let pairs = sent
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim_matches('"'))
}

/// A cookie to set.
pub(crate) struct SetCookie<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
    /// Empty for the path of the request.
    pub(crate) path: &'a str,
    /// Its life; without one it ends with the browser.
    pub(crate) max_age: Option<Duration>,
    /// Only over TLS.
    pub(crate) secure: bool,
}

impl SetCookie<'_> {
    /// The value of `set-cookie`; `None` for a name, value or path that would begin another attribute, or is no header.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        if [self.name, self.value, self.path]
            .iter()
            .any(|part| part.contains(';'))
        {
            return None;
        }
        let mut text = format!("{}={}", self.name, self.value);
        if !self.path.is_empty() {
            write!(text, "; Path={}", self.path).ok()?;
        }
        if let Some(age) = self.max_age {
            write!(text, "; Max-Age={}", age.as_secs()).ok()?;
        }
        text.push_str("; HttpOnly");
        if self.secure {
            text.push_str("; Secure");
        }
        HeaderValue::try_from(text).ok()
    }
}
