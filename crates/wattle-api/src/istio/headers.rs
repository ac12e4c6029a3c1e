//! Changes of headers, as a VirtualService writes them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded};
use crate::scalar;
use crate::tree::quote;

use super::value::{MAX_ITEMS, mapping};

/// Longest header value, in bytes.
const MAX_VALUE: usize = 16 << 10;

/// Changes of a request's and a response's headers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Headers {
    /// Of the request, before it is sent on.
    #[serde(skip_serializing_if = "HeaderChanges::is_empty")]
    pub request: HeaderChanges,
    /// Of the response, before it goes back.
    #[serde(skip_serializing_if = "HeaderChanges::is_empty")]
    pub response: HeaderChanges,
}

impl Headers {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.request.is_empty() && self.response.is_empty()
    }

    /// The new `:authority` of the request, if one is set or added.
    pub(crate) fn authority(&self) -> Option<&str> {
        let mut changes = self.request.set.iter().chain(&self.request.add);
        changes
            .find(|(name, _)| is_authority(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Changes of headers; names are in lower case, and `host` or `:authority` may be among those of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct HeaderChanges {
    /// Headers that get this value instead of any they have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "write_values")]
    pub set: BTreeMap<String, String>,
    /// Headers that get this value beside those they have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "write_values")]
    pub add: BTreeMap<String, String>,
    /// Headers that go.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub remove: BTreeSet<String>,
}

impl HeaderChanges {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}

/// Writes a percent sign as `%%`, since `%` starts a command of Envoy.
fn write_values<S: Serializer>(map: &BTreeMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(map.iter().map(|(name, value)| (name, value.replace('%', "%%"))))
}

fn is_authority(name: &str) -> bool {
    name == ":authority" || name == "host"
}

pub(crate) fn headers(cursor: &Cursor<'_>) -> Decoded<Headers> {
    let fields = cursor.fields(&["request", "response"])?;
    let request = fields.optional("request", |at| changes(at, true));
    let response = fields.optional("response", |at| changes(at, false));
    Ok(Headers {
        request: request?.unwrap_or_default(),
        response: response?.unwrap_or_default(),
    })
}

fn changes(cursor: &Cursor<'_>, authority: bool) -> Decoded<HeaderChanges> {
    let fields = cursor.fields(&["set", "add", "remove"])?;
    let values = |at: &Cursor<'_>| mapping(at, MAX_ITEMS, |name, at| pair(name, at, authority));
    let set = fields.optional("set", values);
    let add = fields.optional("add", values);
    let remove = fields.list("remove", MAX_ITEMS, |at| name(&scalar::text(at)?, at, false));
    Ok(HeaderChanges {
        set: set?.unwrap_or_default(),
        add: add?.unwrap_or_default(),
        remove: remove?.into_iter().collect(),
    })
}

fn pair(key: &str, cursor: &Cursor<'_>, authority: bool) -> Decoded<(String, String)> {
    let key = name(key, cursor, authority);
    let value = value(cursor);
    Ok((key?, value?))
}

fn name(text: &str, cursor: &Cursor<'_>, authority: bool) -> Decoded<String> {
    let lower = text.to_ascii_lowercase();
    if is_authority(&lower) {
        if authority {
            return Ok(lower);
        }
        let reason = format!("{text} can be set or added on a request only");
        return Err(cursor.refuse("invalid-header", reason));
    }
    if lower.len() > 256 || http::HeaderName::from_bytes(lower.as_bytes()).is_err() {
        let reason = format!("found {}, expected a header name", quote(text));
        return Err(cursor.refuse("invalid-header", reason));
    }
    Ok(lower)
}

fn value(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::text(cursor)?;
    if text.len() > MAX_VALUE || http::HeaderValue::from_str(&text).is_err() {
        let reason = format!("found {}, expected a header value", quote(&text));
        return Err(cursor.refuse("invalid-header", reason));
    }
    let plain = text.replace("%%", "");
    if plain.contains('%') {
        let reason = format!(
            "found {}; Envoy's commands between % are not supported yet",
            quote(&text)
        );
        return Err(cursor.refuse_with("unsupported-command", reason, "write %% for a percent sign"));
    }
    Ok(text.replace("%%", "%"))
}
