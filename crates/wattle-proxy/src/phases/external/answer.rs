//! What a service says, and what of it changes the request, the response or the reply.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use wattle_http::RequestHead;

use super::Denial;
use crate::phases::ask::Failure;
use crate::phases::authenticate::remove_reserved;
use crate::phases::{query, reply};

/// Most changes of one kind that an answer may have.
pub(super) const MAX_CHANGES: usize = 64;

/// What the service says.
#[derive(Debug)]
pub(super) enum Answer {
    Allowed(Box<Allowed>),
    Denied(Box<Denial>),
}

/// What changes when it lets in.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    pub(super) to_application: Vec<Change>,
    pub(super) removed: Vec<HeaderName>,
    pub(super) parameters_set: Vec<(String, String)>,
    pub(super) parameters_removed: Vec<String>,
    pub(super) to_client: Vec<Change>,
}

impl Allowed {
    /// Makes the head the one that the application gets.
    pub(super) fn apply(&self, head: &mut RequestHead) {
        for name in &self.removed {
            head.headers.remove(name);
        }
        for change in &self.to_application {
            if change.how == How::Set {
                // Nothing that the application cannot tell from it may stay.
                remove_reserved(&mut head.headers, std::slice::from_ref(&change.name));
            }
            change.apply(&mut head.headers);
        }
        for name in &self.parameters_removed {
            query::remove(head, name);
        }
        for (name, value) in &self.parameters_set {
            query::set(head, name, value);
        }
    }
}

/// A header that is added or set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
    pub(super) how: How,
}

/// What becomes of a value that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Append,
    AddIfAbsent,
    Set,
    SetIfPresent,
}

impl Change {
    /// `None` for a field of framing or of the connection, and for one that only proxies may set.
    pub(super) fn new(name: &[u8], value: &[u8], how: How) -> Result<Option<Self>, Failure> {
        let broken = |_| Failure::new("answer", "a header that cannot be sent");
        // Pseudo-headers are nobody's to change.
        if name.starts_with(b":") {
            return Ok(None);
        }
        let name = HeaderName::from_bytes(name).map_err(|_| broken(()))?;
        let value = HeaderValue::from_bytes(value).map_err(|_| broken(()))?;
        Ok(is_free(&name).then_some(Self { name, value, how }))
    }

    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        let there = headers.contains_key(&self.name);
        match self.how {
            How::Append => drop(headers.append(&self.name, self.value.clone())),
            How::AddIfAbsent if there => {}
            How::SetIfPresent if !there => {}
            How::AddIfAbsent | How::Set | How::SetIfPresent => {
                headers.insert(&self.name, self.value.clone());
            }
        }
    }
}

/// May a service set or remove it?
pub(super) fn is_free(name: &HeaderName) -> bool {
    const KEPT: [HeaderName; 9] = [
        header::CONTENT_LENGTH,
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::HOST,
        header::TE,
        header::TRAILER,
        header::UPGRADE,
        header::EXPECT,
        reply::REASON,
    ];
    let hop_by_hop = ["keep-alive", "proxy-connection"];
    !KEPT.contains(name) && !hop_by_hop.contains(&name.as_str()) && !name.as_str().starts_with("wattle-http1")
}

/// The status of a refusal; what is no status is the usual one.
pub(super) fn refusing(status: i32) -> u16 {
    let status = u16::try_from(status).ok();
    status
        .filter(|status| (200..=599).contains(status))
        .unwrap_or(403)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::Method;

    use super::*;

    fn change(name: &str, value: &str, how: How) -> Option<Change> {
        Change::new(name.as_bytes(), value.as_bytes(), how).unwrap()
    }

    #[test]
    fn a_header_is_appended_added_or_set_as_the_service_says() {
        let table = [
            (How::Append, "a,b", "b"),
            (How::AddIfAbsent, "a", "b"),
            (How::Set, "b", "b"),
            (How::SetIfPresent, "b", ""),
        ];
        for (how, present, absent) in table {
            let change = change("x", "b", how).unwrap();
            for (before, expected) in [(Some("a"), present), (None, absent)] {
                let mut headers = HeaderMap::new();
                headers.extend(
                    before.map(|value| (HeaderName::from_static("x"), HeaderValue::from_static(value))),
                );
                change.apply(&mut headers);
                let values: Vec<_> = headers
                    .get_all("x")
                    .iter()
                    .map(|value| value.to_str().unwrap())
                    .collect();
                assert_eq!(values.join(","), expected, "{how:?} {before:?}");
            }
        }
    }

    #[test]
    fn framing_and_what_only_proxies_say_is_not_a_services_to_change() {
        for name in [
            "content-length",
            "Host",
            ":path",
            "transfer-encoding",
            "wattle-reason",
            "wattle-http1",
        ] {
            assert_eq!(change(name, "1", How::Set), None, "{name}");
        }
        for (name, value) in [("a b", "1"), ("a", "1\n2")] {
            assert!(Change::new(name.as_bytes(), value.as_bytes(), How::Set).is_err());
        }
    }

    #[test]
    fn what_is_set_replaces_what_an_application_could_take_for_it() {
        let mut head = RequestHead::new(Method::GET, "a", "/?a=1");
        for name in ["x-user", "x_user", "authorization"] {
            head.headers.insert(name, HeaderValue::from_static("mallory"));
        }
        let allowed = Allowed {
            to_application: vec![change("x-user", "ann", How::Set).unwrap()],
            removed: vec![header::AUTHORIZATION],
            parameters_set: vec![("b".into(), "2".into())],
            parameters_removed: vec!["a".into()],
            to_client: Vec::new(),
        };
        allowed.apply(&mut head);
        assert_eq!(head.headers.len(), 1);
        assert_eq!(head.headers["x-user"], "ann");
        assert_eq!(head.path_and_query.as_str(), "/?b=2");
    }
}
