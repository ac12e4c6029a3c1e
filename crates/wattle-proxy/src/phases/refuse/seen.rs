//! What is kept of a request: what policies compare first, within a bound for the whole, and no credential.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use wattle_model::{Attribute, RequestFacts, TokenFacts};
use wattle_telemetry::{RefusedRequest, RefusedToken};

use super::Compared;

/// Most bytes of text that are kept of one refusal.
const ALL: usize = 8 * 1024;
/// Longest single text that is kept, bytes.
const LONGEST: usize = 1024;
/// What an entry of a list costs besides its text, bytes: empty ones are not free.
const ENTRY: usize = 32;
/// Their values are credentials, whatever a policy compares.
const SECRET: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// What may still be kept.
pub(super) struct Room {
    bytes: usize,
    /// Something found no room.
    cut: bool,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            bytes: ALL,
            cut: false,
        }
    }
}

impl Room {
    /// As much of a text as there is room for.
    pub(super) fn cut(&mut self, text: &str) -> String {
        let kept = &text[..text.floor_char_boundary(LONGEST.min(self.bytes))];
        self.bytes -= kept.len();
        self.cut |= kept.len() < text.len();
        kept.to_owned()
    }

    pub(super) fn request(&mut self, request: &RequestFacts<'_>, compared: &Compared) -> RefusedRequest {
        RefusedRequest {
            method: self.cut(request.method),
            scheme: self.cut(request.scheme),
            authority: self.cut(request.authority),
            path: self.cut(request.path),
            remote_ip: request.remote_ip,
            headers: self.headers(request.headers, compared),
            token: request.token.map(|token| self.token(token, compared)),
            header_names: self.texts(request.headers.keys().map(HeaderName::as_str)),
            // Last: what is above decides it.
            cut: self.cut,
        }
    }

    fn headers(&mut self, headers: &HeaderMap, compared: &Compared) -> BTreeMap<String, Vec<String>> {
        let named =
            |name: &&HeaderName| compared.headers.contains(name.as_str()) && !SECRET.contains(&name.as_str());
        let mut kept = BTreeMap::new();
        for name in headers.keys().filter(named) {
            if !self.enters() {
                break;
            }
            let name_kept = self.cut(name.as_str());
            let shown: Vec<_> = headers.get_all(name).iter().map(shown).collect();
            let values = self.texts(shown.iter().map(String::as_str));
            kept.insert(name_kept, values);
        }
        kept
    }

    fn token(&mut self, token: &TokenFacts, compared: &Compared) -> RefusedToken {
        let principal = token.principal.as_ref();
        let principal =
            principal.map(|principal| (self.cut(&principal.issuer), self.cut(&principal.subject)));
        let audiences = self.texts(token.audiences.iter().map(AsRef::as_ref));
        let presenter = token.presenter.as_deref().map(|presenter| self.cut(presenter));
        let mut claims = BTreeMap::new();
        for attribute in &compared.claims {
            let Attribute::RequestClaim(path) = attribute else {
                continue;
            };
            if !self.enters() {
                break;
            }
            let name = self.cut(&attribute.to_string());
            claims.insert(name, self.texts(token.claim(path).iter().map(AsRef::as_ref)));
        }
        RefusedToken {
            principal,
            audiences,
            presenter,
            claims,
        }
    }

    /// As many as there is room for.
    fn texts<'a>(&mut self, texts: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut kept = Vec::new();
        for text in texts {
            if !self.enters() {
                break;
            }
            kept.push(self.cut(text));
        }
        kept
    }

    /// Pays for an entry of a list, if there is room for one.
    fn enters(&mut self) -> bool {
        let rest = self.bytes.checked_sub(ENTRY);
        self.bytes = rest.unwrap_or(self.bytes);
        self.cut |= rest.is_none();
        rest.is_some()
    }
}

/// A value that looks like a token is left empty.
fn shown(value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    let secret = text.starts_with("Bearer ") || text.starts_with("Basic ") || text.starts_with("eyJ");
    if secret { String::new() } else { text.into_owned() }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use wattle_model::CallerFacts;

    use super::*;

    #[test]
    fn a_request_of_many_and_long_headers_is_kept_within_the_bound() {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_str(&"v".repeat(2000)).expect("a value");
        for _ in 0..40 {
            headers.append("x-role", value.clone());
        }
        for number in 0..1000 {
            let name = HeaderName::try_from(format!("x-{number}")).expect("a name");
            headers.append(name, HeaderValue::from_static(""));
        }
        let request = RequestFacts {
            method: Method::GET.as_str(),
            scheme: "http",
            authority: "a",
            path: "/",
            query: None,
            headers: &headers,
            caller: CallerFacts::default(),
            remote_ip: None,
            token: None,
        };
        let compared = Compared {
            headers: [String::from("x-role")].into(),
            ..Compared::default()
        };
        let kept = Room::default().request(&request, &compared);
        let values = &kept.headers["x-role"];
        assert!(values.iter().all(|value| value.len() <= LONGEST));
        let bytes: usize = values.iter().chain(&kept.header_names).map(String::len).sum();
        assert!((ALL / 2..=ALL).contains(&bytes), "{bytes}");
        assert!(values.len() + kept.header_names.len() <= ALL / ENTRY);
        assert!(kept.cut);
    }
}
