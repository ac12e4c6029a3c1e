//! Conditions of an AuthorizationPolicy: the keys that `when` knows and their values.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::authorization::{some_of, text_port};
use crate::decode::{Cursor, Decoded};
use crate::matcher::Values;
use crate::nearest::nearest;
use crate::scalar;
use crate::tree::quote;

/// Most values of a condition.
const MAX_VALUES: usize = 1024;

/// One condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What is compared.
    pub key: ConditionKey,
    /// With what, as written; addresses, blocks and ports have been checked to be such.
    pub values: Values<String>,
}

/// What a condition compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConditionKey {
    /// `request.headers[NAME]`.
    RequestHeader(String),
    /// `source.ip`: the connection's peer.
    SourceIp,
    /// `remote.ip`: the original client.
    RemoteIp,
    /// `source.namespace`.
    SourceNamespace,
    /// `source.serviceAccount`.
    SourceServiceAccount,
    /// `source.trustDomain`.
    SourceTrustDomain,
    /// `source.principal`.
    SourcePrincipal,
    /// `request.auth.principal`.
    RequestPrincipal,
    /// `request.auth.audiences`.
    RequestAudiences,
    /// `request.auth.presenter`.
    RequestPresenter,
    /// `request.auth.claims[A][B]`: the names from outside to inside.
    RequestClaim(Vec<String>),
    /// `destination.ip`.
    DestinationIp,
    /// `destination.port`.
    DestinationPort,
    /// `connection.sni`.
    ConnectionSni,
    /// `experimental.envoy.filters.…`: a filter's metadata.
    EnvoyFilter(String),
}

const PLAIN_KEYS: &[(&str, ConditionKey)] = &[
    ("source.ip", ConditionKey::SourceIp),
    ("remote.ip", ConditionKey::RemoteIp),
    ("source.namespace", ConditionKey::SourceNamespace),
    ("source.serviceAccount", ConditionKey::SourceServiceAccount),
    ("source.trustDomain", ConditionKey::SourceTrustDomain),
    ("source.principal", ConditionKey::SourcePrincipal),
    ("request.auth.principal", ConditionKey::RequestPrincipal),
    ("request.auth.audiences", ConditionKey::RequestAudiences),
    ("request.auth.presenter", ConditionKey::RequestPresenter),
    ("destination.ip", ConditionKey::DestinationIp),
    ("destination.port", ConditionKey::DestinationPort),
    ("connection.sni", ConditionKey::ConnectionSni),
];

impl ConditionKey {
    /// Reads a key as written under `when`; none when no such key exists.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        if let Some((_, key)) = PLAIN_KEYS.iter().find(|(name, _)| *name == text) {
            return Some(key.clone());
        }
        if let Some(rest) = text.strip_prefix("request.headers") {
            let [name] = brackets(rest)?.try_into().ok()?;
            return http::HeaderName::from_bytes(name.as_bytes())
                .is_ok()
                .then_some(Self::RequestHeader(name));
        }
        if let Some(rest) = text.strip_prefix("request.auth.claims") {
            return brackets(rest).map(Self::RequestClaim);
        }
        let rest = text.strip_prefix("experimental.envoy.filters.")?;
        (!rest.is_empty()).then(|| Self::EnvoyFilter(rest.to_owned()))
    }
}

/// The names in `[A][B]`; none when there is anything else or nothing.
fn brackets(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let names: Vec<String> = inner.split("][").map(str::to_owned).collect();
    names
        .iter()
        .all(|name| !name.is_empty() && !name.contains(['[', ']']))
        .then_some(names)
}

impl fmt::Display for ConditionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestHeader(name) => write!(f, "request.headers[{name}]"),
            Self::RequestClaim(names) => write!(f, "request.auth.claims[{}]", names.join("][")),
            Self::EnvoyFilter(rest) => write!(f, "experimental.envoy.filters.{rest}"),
            plain => {
                let name = PLAIN_KEYS
                    .iter()
                    .find(|(_, key)| key == plain)
                    .map_or("", |(name, _)| name);
                f.write_str(name)
            }
        }
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("key", &self.key.to_string())?;
        self.values.write(&mut map, "values", "notValues")?;
        map.end()
    }
}

pub(crate) fn condition(cursor: &Cursor<'_>) -> Decoded<Condition> {
    let fields = cursor.fields(&["key", "values", "notValues"])?;
    let key = fields.required("key", condition_key)?;
    let decode = |at: &Cursor<'_>| condition_value(at, &key);
    let any = some_of(&fields, "values", MAX_VALUES, decode);
    let not = some_of(&fields, "notValues", MAX_VALUES, decode);
    let values = Values { any: any?, not: not? };
    if values.is_empty() {
        return Err(cursor.refuse("empty", "a condition needs values or notValues"));
    }
    Ok(Condition { key, values })
}

fn condition_key(cursor: &Cursor<'_>) -> Decoded<ConditionKey> {
    let text = scalar::filled(cursor)?;
    ConditionKey::new(&text).ok_or_else(|| {
        let names: Vec<_> = PLAIN_KEYS.iter().map(|(name, _)| *name).collect();
        let hint = match nearest(&text, &names) {
            Some(near) => format!("write {near}"),
            None => "write a condition key of Istio, such as source.ip or request.headers[name]".to_owned(),
        };
        cursor.refuse_with(
            "unknown-value",
            format!("found {}, expected a condition key", quote(&text)),
            &hint,
        )
    })
}

fn condition_value(cursor: &Cursor<'_>, key: &ConditionKey) -> Decoded<String> {
    match key {
        ConditionKey::SourceIp | ConditionKey::RemoteIp | ConditionKey::DestinationIp => {
            scalar::ip_block(cursor)?;
            scalar::text(cursor)
        }
        ConditionKey::DestinationPort => text_port(cursor).map(|port| port.to_string()),
        _ => scalar::filled(cursor),
    }
}
