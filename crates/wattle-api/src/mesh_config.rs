//! Istio's MeshConfig, of which is read what the mesh decides by: the ConfigMap `istio`, whose key `mesh` holds
//! YAML in a text.

mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::istio::{OutboundTrafficPolicy, write_time};
use crate::matcher::TextMatch;
use crate::scalar::Port;

pub(crate) use read::{is_istios, mesh_config, unfolded};

/// The name of the ConfigMap.
pub(crate) const NAME: &str = "istio";

/// What is read of Istio's MeshConfig.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeshConfig {
    /// Services that decide about requests, each name once; providers of anything else are reported and left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extension_providers: Vec<ExtensionProvider>,
    /// In which form paths are judged and reach applications.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_normalization: Option<PathNormalization>,
    /// What becomes of destinations that nobody registered, where no Sidecar says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound_traffic_policy: Option<OutboundTrafficPolicy>,
}

/// Istio `pathNormalization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PathNormalization {
    /// How much is done.
    pub normalization: NormalizationType,
}

/// How much is done to paths; each does what the one before it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NormalizationType {
    /// Nothing.
    None,
    /// RFC 3986, and `\\` as a slash.
    Base,
    /// Slashes beside each other as one.
    MergeSlashes,
    /// Escaped slashes as slashes.
    DecodeAndMergeSlashes,
}

impl MeshConfig {
    /// What the ConfigMap's key `mesh` holds: JSON is YAML.
    pub(crate) fn as_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// A service that policies can name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExtensionProvider {
    /// What policies call it by.
    pub name: String,
    /// How it is asked.
    #[serde(flatten)]
    pub check: AuthorizationCheck,
}

/// How a service that authorizes is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum AuthorizationCheck {
    /// Over HTTP.
    #[serde(rename = "envoyExtAuthzHttp")]
    Http(Box<HttpAuthorizer>),
    /// Over gRPC, by Envoy's protocol.
    #[serde(rename = "envoyExtAuthzGrpc")]
    Grpc(Authorizer),
}

/// What services of both protocols have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Authorizer {
    /// Where it is.
    pub service: ProviderService,
    /// Its port.
    pub port: Port,
    /// Longest time for an answer, at most 10 minutes; default 5 s.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_time")]
    pub timeout: Option<Duration>,
    /// Requests go on where it does not answer; default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fail_open: bool,
    /// Status where it does not answer, 200 to 599; default 403.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub status_on_error: Option<u16>,
    /// How much of the body it is shown; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_request_body_in_check: Option<BodyInCheck>,
}

/// A service that is asked over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpAuthorizer {
    /// What services of both protocols have.
    #[serde(flatten)]
    pub common: Authorizer,
    /// Set before the path; empty or with a slash at the beginning.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path_prefix: String,
    /// Headers of the request that it is shown, by name in lower case; some always are.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub include_request_headers_in_check: Vec<TextMatch>,
    /// Headers it is shown besides, by name in lower case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub include_additional_headers_in_check: BTreeMap<String, String>,
    /// Headers of its answer that the application gets.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub headers_to_upstream_on_allow: Vec<TextMatch>,
    /// Headers of its answer that the client gets where it refuses; empty is all of them.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub headers_to_downstream_on_deny: Vec<TextMatch>,
    /// Headers of its answer that the client gets where it lets in.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub headers_to_downstream_on_allow: Vec<TextMatch>,
}

/// `HOST` or `NAMESPACE/HOST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderService {
    /// Namespace of the Service whose name or host the other part is.
    pub namespace: Option<String>,
    /// The host: fully qualified, or the name of a Service of the namespace.
    pub host: String,
}

impl fmt::Display for ProviderService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

impl Serialize for ProviderService {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How much of a body is shown to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BodyInCheck {
    /// Most bytes, 1 to 4,194,304.
    pub max_request_bytes: u32,
    /// A longer body is cut; otherwise the request is refused. Default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_partial_message: bool,
    /// It is sent as bytes rather than text (gRPC only). Default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pack_as_bytes: bool,
}

fn optional_time<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => write_time(time, serializer),
        None => serializer.serialize_none(),
    }
}

fn as_text<S: Serializer>(status: &Option<u16>, serializer: S) -> Result<S::Ok, S::Error> {
    match status {
        Some(status) => serializer.collect_str(status),
        None => serializer.serialize_none(),
    }
}

fn texts<S: Serializer>(items: &[TextMatch], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(items.iter().map(TextMatch::to_string))
}
