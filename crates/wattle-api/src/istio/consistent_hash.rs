//! The same endpoint for the same key.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded, Fields};
use crate::scalar::{self, write_duration};

use super::time::time_or_zero;
use super::value::{self, MAX_ITEMS, at_most_one, words};

/// Largest ring of hashes (Envoy).
const MAX_RING: u32 = 8 << 20;
/// Largest Maglev table (Envoy).
const MAX_TABLE: u32 = 5_000_011;

/// A key of the request, and how it leads to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsistentHash {
    /// What is hashed.
    #[serde(flatten)]
    pub key: HashKey,
    /// How; none means a ring of 1024 hashes or more.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub ring: Option<HashRing>,
}

/// What is hashed; a request without it goes to any endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HashKey {
    /// The value of this header.
    HttpHeaderName(String),
    /// The value of a cookie.
    HttpCookie(Cookie),
    /// The client's address.
    #[serde(rename = "useSourceIp", serialize_with = "write_true")]
    SourceIp,
    /// The value of this query parameter.
    HttpQueryParameterName(String),
}

/// A cookie that is hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cookie {
    /// Name.
    pub name: String,
    /// Path the cookie is set for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How long a cookie that is made up lives, 0 for the session; none means that none is made up.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub ttl: Option<Duration>,
    /// Further attributes, name and value, the latter possibly empty.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "write_attributes")]
    pub attributes: Vec<(String, String)>,
}

/// How hashes lead to endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashRing {
    /// A ring with at least so many hashes, 1 to 8,388,608; default 1024.
    Ring(u32),
    /// A table of this size, a prime up to 5,000,011; default 65537.
    Maglev(u32),
}

impl Serialize for HashRing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Ring(size) => {
                map.serialize_entry("ringHash", &serde_json::json!({ "minimumRingSize": size }))?;
            }
            Self::Maglev(size) => map.serialize_entry("maglev", &serde_json::json!({ "tableSize": size }))?,
        }
        map.end()
    }
}

fn write_true<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(true)
}

fn write_attributes<S: Serializer>(list: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(
        list.iter()
            .map(|(name, value)| serde_json::json!({ "name": name, "value": value })),
    )
}

const KEYS: [&str; 4] = [
    "httpHeaderName",
    "httpCookie",
    "useSourceIp",
    "httpQueryParameterName",
];

pub(crate) fn consistent_hash(cursor: &Cursor<'_>) -> Decoded<ConsistentHash> {
    let fields = cursor.fields(&[
        "httpHeaderName",
        "httpCookie",
        "useSourceIp",
        "httpQueryParameterName",
        "ringHash",
        "maglev",
        "minimumRingSize",
    ])?;
    at_most_one(&fields, &["ringHash", "maglev", "minimumRingSize"])?;
    let key = hash_key(&fields);
    let ring = fields.optional("ringHash", |at| {
        let fields = at.fields(&["minimumRingSize"])?;
        let size = fields.optional("minimumRingSize", ring_size)?;
        Ok(HashRing::Ring(size.unwrap_or(1024)))
    });
    let maglev = fields.optional("maglev", |at| {
        let size = at.fields(&["tableSize"])?.optional("tableSize", table_size)?;
        Ok(HashRing::Maglev(size.unwrap_or(65_537)))
    });
    let old = fields.optional("minimumRingSize", |at| {
        at.warn(
            "deprecated-field",
            "the field is deprecated",
            "write ringHash.minimumRingSize",
        );
        ring_size(at).map(HashRing::Ring)
    });
    Ok(ConsistentHash {
        key: key?,
        ring: ring?.or(maglev?).or(old?),
    })
}

fn hash_key(fields: &Fields<'_>) -> Decoded<HashKey> {
    Ok(match value::exactly_one(fields, &KEYS)? {
        "httpHeaderName" => HashKey::HttpHeaderName(fields.required("httpHeaderName", scalar::header_name)?),
        "httpCookie" => HashKey::HttpCookie(fields.required("httpCookie", cookie)?),
        "useSourceIp" => fields.required("useSourceIp", |at| match scalar::flag(at)? {
            true => Ok(HashKey::SourceIp),
            false => Err(at.refuse("missing-field", "found false, and no other key to hash")),
        })?,
        query => HashKey::HttpQueryParameterName(fields.required(query, scalar::filled)?),
    })
}

fn ring_size(cursor: &Cursor<'_>) -> Decoded<u32> {
    Ok(match scalar::count(cursor, 0, MAX_RING)? {
        0 => 1024,
        size => size,
    })
}

fn table_size(cursor: &Cursor<'_>) -> Decoded<u32> {
    match scalar::count(cursor, 0, MAX_TABLE)? {
        0 => Ok(65_537),
        size if is_prime(size) => Ok(size),
        size => {
            let hint = "write 65537, the default";
            Err(cursor.refuse_with("out-of-range", format!("found {size}, expected a prime"), hint))
        }
    }
}

/// Trial division, for which the largest table needs 2236 steps.
fn is_prime(number: u32) -> bool {
    number >= 2
        && (2..)
            .take_while(|divisor| divisor * divisor <= number)
            .all(|divisor| !number.is_multiple_of(divisor))
}

fn cookie(cursor: &Cursor<'_>) -> Decoded<Cookie> {
    let fields = cursor.fields(&["name", "path", "ttl", "attributes"])?;
    let name = fields.required("name", scalar::filled);
    let path = words(&fields, "path");
    let ttl = fields.optional("ttl", time_or_zero);
    let attributes = fields.list("attributes", MAX_ITEMS, |at| {
        let fields = at.fields(&["name", "value"])?;
        let name = fields.required("name", scalar::filled);
        let value = words(&fields, "value");
        Ok((name?, value?.unwrap_or_default()))
    });
    Ok(Cookie {
        name: name?,
        path: path?,
        ttl: ttl?,
        attributes: attributes?,
    })
}
