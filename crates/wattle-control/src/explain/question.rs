//! What is asked, and its reading: who, what, where to.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use wattle_compile::{Instance, Mesh};
use wattle_identity::SpiffeId;
use wattle_model::{RequestFacts, Workload, percent_decode};

use super::{Request, Source};

/// Who sends what where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// `NAMESPACE/WORKLOAD`, a workload of namespace `default`, or a SPIFFE name.
    pub from: String,
    /// Method, default `GET`.
    pub method: String,
    /// `http://HOST[:PORT]/PATH`, `tcp://HOST:PORT` or without scheme.
    pub url: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Port instead of the URL's.
    pub port: Option<u16>,
}

/// Why a question cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// No such workload.
    #[error("there is no workload {0}{hint}", hint = nearest_hint(.1.as_deref()))]
    Source(String, Option<String>),
    /// Not a SPIFFE name.
    #[error("\"{0}\" is not a SPIFFE name: {1}")]
    Identity(String, String),
    /// Not a URL.
    #[error("\"{0}\" is not a URL: {1}")]
    Url(String, String),
    /// Not a method.
    #[error("\"{0}\" is not a method")]
    Method(String),
    /// Not a header.
    #[error("\"{0}\" is not a header, NAME:VALUE expected")]
    Header(String),
    /// Something in the query of the admin API.
    #[error("\"{0}\" is not expected in a question, one of from, method, url, header, port is")]
    Parameter(String),
    /// Not a port.
    #[error("\"{0}\" is not a port")]
    Port(String),
    /// Neither `ip:port` nor `host:port`.
    #[error("\"{0}\" is no destination")]
    Destination(String),
}

fn nearest_hint(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!(", is {nearest} meant?")).unwrap_or_default()
}

impl Question {
    /// Reads the query of `GET /explain`: `from`, `method`, `url`, `port` and any number of `header=NAME:VALUE`, percent-encoded.
    ///
    /// # Errors
    /// When a part is not one of these.
    pub fn from_query(query: &str) -> Result<Self, ExplainError> {
        let mut question = Self { method: "GET".to_owned(), ..Self::default() };
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = percent_decode(value).into_owned();
            match name {
                "from" => question.from = value,
                "method" => question.method = value,
                "url" => question.url = value,
                "port" => question.port = Some(value.parse().map_err(|_| ExplainError::Port(value))?),
                "header" => {
                    let (name, content) = value.split_once(':').ok_or_else(|| ExplainError::Header(value.clone()))?;
                    question.headers.push((name.trim().to_owned(), content.trim().to_owned()));
                }
                other => return Err(ExplainError::Parameter(other.to_owned())),
            }
        }
        Ok(question)
    }

    /// The query that [`Self::from_query`] reads back.
    pub fn to_query(&self) -> String {
        let mut parts = vec![("from", self.from.clone()), ("method", self.method.clone()), ("url", self.url.clone())];
        parts.extend(self.port.map(|port| ("port", port.to_string())));
        parts.extend(self.headers.iter().map(|(name, value)| ("header", format!("{name}:{value}"))));
        let encoded: Vec<_> = parts.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        encoded.join("&")
    }
}

fn encode(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// A request's head, as a proxy has it before it.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) scheme: String,
    pub(super) authority: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
}

impl Head {
    pub(super) fn facts(&self) -> RequestFacts<'_> {
        RequestFacts {
            method: &self.method,
            scheme: &self.scheme,
            authority: &self.authority,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
        }
    }
}

/// A question that makes sense.
pub(super) struct Asked {
    pub(super) source: Source,
    pub(super) request: Request,
    /// Who the source proves to be.
    pub(super) id: Option<SpiffeId>,
    pub(super) address: IpAddr,
    /// Name of the Destination resource.
    pub(super) destination: String,
    pub(super) port: u16,
    /// Not HTTP, as the application means it.
    pub(super) opaque: bool,
    pub(super) head: Head,
}

pub(super) fn read(mesh: &Mesh, question: &Question) -> Result<Asked, ExplainError> {
    let (workload, namespace, id, address) = source(mesh, &question.from)?;
    let (uri, port) = url(question)?;
    let method = Method::from_bytes(question.method.as_bytes()).map_err(|_| ExplainError::Method(question.method.clone()))?;
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let scheme = uri.scheme_str().unwrap_or("http").to_owned();
    let head = Head {
        method: method.to_string(),
        scheme: if scheme == "https" { scheme.clone() } else { "http".to_owned() },
        authority,
        path: uri.path().to_owned(),
        query: uri.query().map(ToOwned::to_owned),
        headers: headers(&question.headers)?,
    };
    let host = uri.host().unwrap_or_default();
    Ok(Asked {
        source: Source {
            workload,
            namespace,
            identity: id.as_ref().map(ToString::to_string),
            address: address.map_or_else(|| "unknown".to_owned(), |address| address.to_string()),
        },
        request: Request { method: question.method.clone(), url: question.url.clone(), headers: question.headers.clone() },
        id,
        address: address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        destination: format!("{host}:{port}"),
        port,
        opaque: !matches!(scheme.as_str(), "http" | "grpc" | "h2c" | "ws"),
        head,
    })
}

type Found = (String, String, Option<SpiffeId>, Option<IpAddr>);

fn source(mesh: &Mesh, from: &str) -> Result<Found, ExplainError> {
    if from.starts_with("spiffe://") {
        let id: SpiffeId = from.parse().map_err(|error| ExplainError::Identity(from.to_owned(), format!("{error}")))?;
        let namespace = id.namespace().to_owned();
        return Ok((String::new(), namespace, Some(id), None));
    }
    let (namespace, name) = from.split_once('/').unwrap_or(("default", from));
    let named = mesh.workload(namespace, name).cloned();
    // The name of a workload stands for any of its copies.
    let copy = || {
        let mut all = mesh.workloads();
        all.find(|instance| *instance.workload.namespace == *namespace && *instance.workload.name == *name).cloned()
    };
    let instance = named.or_else(copy).ok_or_else(|| unknown(mesh, namespace, name))?;
    Ok((described(&instance), namespace.to_owned(), identity(&instance.workload), instance.address))
}

fn unknown(mesh: &Mesh, namespace: &str, name: &str) -> ExplainError {
    let similar = mesh.workloads().find(|instance| {
        let other = &*instance.key.name;
        other.starts_with(name) || name.starts_with(other) || (*instance.workload.name == *name)
    });
    ExplainError::Source(format!("{namespace}/{name}"), similar.map(|instance| described(instance)))
}

pub(super) fn described(instance: &Instance) -> String {
    format!("{}/{}", instance.key.namespace, instance.key.name)
}

/// The SPIFFE name of a workload; none for one without a proxy.
fn identity(workload: &Workload) -> Option<SpiffeId> {
    let Workload { trust_domain, namespace, service_account, .. } = workload;
    if service_account.is_empty() {
        return None;
    }
    format!("spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}").parse().ok()
}

fn url(question: &Question) -> Result<(Uri, u16), ExplainError> {
    let refuse = |why: &str| ExplainError::Url(question.url.clone(), why.to_owned());
    let whole = if question.url.contains("://") { question.url.clone() } else { format!("http://{}", question.url) };
    let uri: Uri = whole.parse().map_err(|error: http::uri::InvalidUri| refuse(&error.to_string()))?;
    if uri.host().is_none_or(str::is_empty) {
        return Err(refuse("it names no host"));
    }
    let customary = match uri.scheme_str() {
        Some("https" | "tls") => Some(443),
        Some("tcp") => None,
        _ => Some(80),
    };
    let port = question.port.or_else(|| uri.port_u16()).or(customary).ok_or_else(|| refuse("it names no port"))?;
    Ok((uri, port))
}

fn headers(written: &[(String, String)]) -> Result<HeaderMap, ExplainError> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let refuse = || ExplainError::Header(format!("{name}:{value}"));
        let name: HeaderName = name.parse().map_err(|_| refuse())?;
        let value = HeaderValue::from_str(value).map_err(|_| refuse())?;
        headers.try_append(name, value).map_err(|_| refuse())?;
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_question_survives_its_query() {
        let question = Question {
            from: "default/a b&c".to_owned(),
            method: "POST".to_owned(),
            url: "http://reviews:9080/x?y=1&z=%20".to_owned(),
            headers: vec![("x-user".to_owned(), "jason & co".to_owned())],
            port: Some(81),
        };
        assert_eq!(Question::from_query(&question.to_query()).unwrap(), question);
    }

    #[test]
    fn a_bad_query_is_refused_by_name() {
        assert_eq!(Question::from_query("form=x"), Err(ExplainError::Parameter("form".to_owned())));
        assert_eq!(Question::from_query("header=x"), Err(ExplainError::Header("x".to_owned())));
        assert_eq!(Question::from_query("port=x"), Err(ExplainError::Port("x".to_owned())));
    }
}
