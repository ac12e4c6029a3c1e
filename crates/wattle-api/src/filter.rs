//! Gateway API filters of an HTTPRoute or GRPCRoute rule or backend.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::scalar::Port;

mod cors;
mod mirror;
mod read;

pub use cors::Cors;
pub use mirror::{Fraction, Mirror};
pub(crate) use read::filters;

/// What a rule or backend changes on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Changes request headers.
    RequestHeaderModifier(HeaderModifier),
    /// Changes response headers.
    ResponseHeaderModifier(HeaderModifier),
    /// Answers with a redirect.
    RequestRedirect(Redirect),
    /// Rewrites host or path.
    UrlRewrite(Rewrite),
    /// Sends a copy elsewhere; the only filter that may be given several times.
    RequestMirror(Mirror),
    /// Answers preflight requests and tells browsers what they may do.
    Cors(Cors),
    /// A filter of this type, which is not supported yet: requests it applies to must not pass as if it were not there.
    Unsupported(&'static str),
}

impl Filter {
    /// The type as written.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::RequestHeaderModifier(_) => "RequestHeaderModifier",
            Self::ResponseHeaderModifier(_) => "ResponseHeaderModifier",
            Self::RequestRedirect(_) => "RequestRedirect",
            Self::UrlRewrite(_) => "URLRewrite",
            Self::RequestMirror(_) => "RequestMirror",
            Self::Cors(_) => "CORS",
            Self::Unsupported(name) => name,
        }
    }

    pub(crate) fn replaces_prefix(&self) -> bool {
        let path = match self {
            Self::RequestRedirect(redirect) => &redirect.path,
            Self::UrlRewrite(rewrite) => &rewrite.path,
            _ => return false,
        };
        matches!(path, Some(PathModifier::ReplacePrefixMatch(_)))
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.type_name())?;
        match self {
            Self::RequestHeaderModifier(change) => map.serialize_entry("requestHeaderModifier", change)?,
            Self::ResponseHeaderModifier(change) => map.serialize_entry("responseHeaderModifier", change)?,
            Self::RequestRedirect(redirect) => map.serialize_entry("requestRedirect", redirect)?,
            Self::UrlRewrite(rewrite) => map.serialize_entry("urlRewrite", rewrite)?,
            Self::RequestMirror(mirror) => map.serialize_entry("requestMirror", mirror)?,
            Self::Cors(cors) => map.serialize_entry("cors", cors)?,
            Self::Unsupported(name) => map.serialize_entry(content_key(name), &serde_json::json!({}))?,
        }
        map.end()
    }
}

/// Changes of headers: `set`, then `add`, then `remove`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct HeaderModifier {
    /// Headers that get this value instead of any they have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<Header>,
    /// Headers that get this value beside those they have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<Header>,
    /// Names of headers that go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// A header with its value, both valid on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Header {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// A redirect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Redirect {
    /// `http` or `https`; none keeps the request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<&'static str>,
    /// Host; none keeps the request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Path; none keeps the request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathModifier>,
    /// Port; none means the scheme's, or else the listener's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// 301, 302, 303, 307 or 308; default 302.
    pub status_code: u16,
}

/// A rewrite of the request's host or path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rewrite {
    /// New host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// New path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathModifier>,
}

/// A change of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathModifier {
    /// The whole path becomes this.
    ReplaceFullPath(String),
    /// The prefix that matched becomes this; the rule has exactly one PathPrefix match.
    ReplacePrefixMatch(String),
}

impl Serialize for PathModifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, key, value) = match self {
            Self::ReplaceFullPath(value) => ("ReplaceFullPath", "replaceFullPath", value),
            Self::ReplacePrefixMatch(value) => ("ReplacePrefixMatch", "replacePrefixMatch", value),
        };
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", name)?;
        map.serialize_entry(key, value)?;
        map.end()
    }
}

/// Filter types a route may have; the second word is the key of the type's content.
pub(crate) type FilterTypes = &'static [(&'static str, &'static str)];

/// Filter types of an HTTPRoute.
pub(crate) const HTTP_FILTERS: FilterTypes = &[
    ("RequestHeaderModifier", "requestHeaderModifier"),
    ("ResponseHeaderModifier", "responseHeaderModifier"),
    ("RequestRedirect", "requestRedirect"),
    ("URLRewrite", "urlRewrite"),
    ("RequestMirror", "requestMirror"),
    ("CORS", "cors"),
    ("ExtensionRef", "extensionRef"),
    ("ExternalAuth", "externalAuth"),
];

/// Filter types of a GRPCRoute.
pub(crate) const GRPC_FILTERS: FilterTypes = &[
    ("RequestHeaderModifier", "requestHeaderModifier"),
    ("ResponseHeaderModifier", "responseHeaderModifier"),
    ("RequestMirror", "requestMirror"),
    ("ExtensionRef", "extensionRef"),
];

fn content_key(name: &str) -> &'static str {
    HTTP_FILTERS
        .iter()
        .find(|(known, _)| *known == name)
        .map_or("type", |(_, key)| key)
}
