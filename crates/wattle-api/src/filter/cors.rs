//! Cross-origin resource sharing (GEP-1767): which origins a browser may call from.

use serde::Serialize;

use crate::decode::{Cursor, Decoded, Fields};
use crate::scalar;
use crate::tree::quote;

/// Most origins or headers (Gateway API).
const MAX_ITEMS: usize = 64;
/// Most methods (Gateway API).
const MAX_METHODS: usize = 9;
/// Longest origin in bytes (Gateway API).
const MAX_ORIGIN: usize = 253;

/// Methods, `*` for all of them.
const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*",
];

/// What a browser is told about requests from other origins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cors {
    /// Origins that may call: `*` alone, or `SCHEME://HOST[:PORT]` whose host may be `*` or start with `*.`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_origins: Vec<String>,
    /// Methods they may use beside GET, HEAD and POST; `*` stands alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_methods: Vec<&'static str>,
    /// Request headers they may send; `*` stands alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_headers: Vec<String>,
    /// Response headers a script may read; `*` means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expose_headers: Vec<String>,
    /// Whether credentials may be sent; default false.
    pub allow_credentials: bool,
    /// Seconds a browser may keep the answer, from 1; default 5.
    #[serde(rename = "maxAge")]
    pub max_age_secs: u32,
}

pub(crate) fn cors(cursor: &Cursor<'_>) -> Decoded<Cors> {
    let known = [
        "allowOrigins",
        "allowMethods",
        "allowHeaders",
        "exposeHeaders",
        "allowCredentials",
        "maxAge",
    ];
    let fields = cursor.fields(&known)?;
    let allow_origins = set(&fields, "allowOrigins", MAX_ITEMS, origin);
    let methods = METHODS.map(|method| (method, method));
    let allow_methods = set(&fields, "allowMethods", MAX_METHODS, |at| {
        scalar::word(at, &methods)
    });
    let allow_headers = set(&fields, "allowHeaders", MAX_ITEMS, scalar::header_name);
    let expose_headers = set(&fields, "exposeHeaders", MAX_ITEMS, scalar::header_name);
    let allow_credentials = fields.optional("allowCredentials", scalar::flag);
    let max_age_secs = fields.optional("maxAge", |at| scalar::count(at, 1, i32::MAX as u32));
    Ok(Cors {
        allow_origins: alone(&fields, "allowOrigins", allow_origins?)?,
        allow_methods: alone(&fields, "allowMethods", allow_methods?)?,
        allow_headers: alone(&fields, "allowHeaders", allow_headers?)?,
        expose_headers: expose_headers?,
        allow_credentials: allow_credentials?.unwrap_or(false),
        max_age_secs: max_age_secs?.unwrap_or(5),
    })
}

/// A list whose items differ.
fn set<T: PartialEq + std::fmt::Display>(
    fields: &Fields<'_>,
    key: &str,
    most: usize,
    decode: impl Fn(&Cursor<'_>) -> Decoded<T>,
) -> Decoded<Vec<T>> {
    let Some(cursor) = fields.at(key) else {
        return Ok(Vec::new());
    };
    let items = cursor.list(most, decode)?;
    scalar::distinct(&cursor, &items)?;
    Ok(items)
}

/// `*` means everything, and so nothing can stand beside it.
fn alone<T: AsRef<str>>(fields: &Fields<'_>, key: &str, items: Vec<T>) -> Decoded<Vec<T>> {
    let star = items.len() > 1 && items.iter().any(|item| item.as_ref() == "*");
    match fields.at(key).filter(|_| star) {
        Some(at) => Err(at.refuse_with(
            "incompatible-fields",
            "found * beside other items",
            "write * alone, or leave it out",
        )),
        None => Ok(items),
    }
}

fn origin(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::filled(cursor)?;
    if text.len() > MAX_ORIGIN || !is_origin(&text) {
        let reason = format!(
            "found {}, expected * or an origin such as https://a.example or https://*.example:8443",
            quote(&text)
        );
        return Err(cursor.refuse("invalid-origin", reason));
    }
    Ok(text)
}

fn is_origin(text: &str) -> bool {
    if text == "*" {
        return true;
    }
    let Some(rest) = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))
    else {
        return false;
    };
    let (host, port) = match rest.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (rest, None),
    };
    let name = host.strip_prefix("*.").unwrap_or(host);
    let word = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let host = host == "*" || name.split('.').all(word);
    host && port.is_none_or(|port| port.parse().is_ok_and(|port: u16| port > 0))
}
