//! The reading of a question: who, what, where to.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use wattle_compile::{Instance, Mesh};
use wattle_identity::SpiffeId;
use wattle_model::{CallerFacts, CallerLabel, RequestFacts, Workload};

use super::token::Claims;
use super::{ExplainError, Question, Request, Source};

/// A request's head, as a proxy has it before it.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) scheme: String,
    pub(super) authority: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
    /// Labels of the workload that sends it.
    pub(super) labels: Vec<CallerLabel>,
    /// Address it comes from.
    pub(super) from: IpAddr,
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
            caller: CallerFacts {
                labels: &self.labels,
                address: self.from,
            },
            remote_ip: None,
            token: None,
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
    /// Server name of the ClientHello.
    pub(super) server_name: Option<String>,
    pub(super) head: Head,
    /// Claims of its token.
    pub(super) claims: Option<Claims>,
}

pub(super) fn read(mesh: &Mesh, question: &Question) -> Result<Asked, ExplainError> {
    let Found {
        workload,
        namespace,
        id,
        address,
        labels,
    } = source(mesh, &question.from)?;
    let (uri, port) = url(question)?;
    let method = Method::from_bytes(question.method.as_bytes())
        .map_err(|_| ExplainError::Method(question.method.clone()))?;
    let mut headers = headers(&question.headers)?;
    // A header of this name says which host is meant, wherever the request is sent.
    let named = headers.remove(http::header::HOST);
    let authority = match named.as_ref().and_then(|host| host.to_str().ok()) {
        Some(host) => host.to_owned(),
        None => uri.authority().map(ToString::to_string).unwrap_or_default(),
    };
    let scheme = uri.scheme_str().unwrap_or("http").to_owned();
    let compared = address.unwrap_or_else(|| somewhere_inside(mesh));
    let head = Head {
        method: method.to_string(),
        scheme: if scheme == "https" {
            scheme.clone()
        } else {
            "http".to_owned()
        },
        authority,
        path: uri.path().to_owned(),
        query: uri.query().map(ToOwned::to_owned),
        headers,
        labels,
        from: compared,
    };
    let host = uri.host().unwrap_or_default();
    Ok(Asked {
        source: Source {
            workload,
            namespace,
            identity: id.as_ref().map(ToString::to_string),
            address: match address {
                Some(address) => address.to_string(),
                None => format!("unknown, compared as {compared}"),
            },
        },
        request: Request {
            method: question.method.clone(),
            url: question.url.clone(),
            headers: question.headers.clone(),
        },
        id,
        address: compared,
        destination: format!("{host}:{port}"),
        port,
        opaque: !matches!(scheme.as_str(), "http" | "grpc" | "h2c" | "ws"),
        server_name: matches!(scheme.as_str(), "https" | "tls").then(|| host.to_owned()),
        head,
        claims: question.claims.as_deref().map(Claims::read).transpose()?,
    })
}

/// Where a caller of the mesh may be that has no address yet: inside the cluster, and in its last place, which a rule for
/// some addresses hardly means.
fn somewhere_inside(mesh: &Mesh) -> IpAddr {
    let inside = mesh.settings().cluster_networks.first();
    let last = inside.and_then(|network| network.hosts().next_back());
    last.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// Who sends.
struct Found {
    workload: String,
    namespace: String,
    id: Option<SpiffeId>,
    address: Option<IpAddr>,
    labels: Vec<CallerLabel>,
}

fn source(mesh: &Mesh, from: &str) -> Result<Found, ExplainError> {
    if from.starts_with("spiffe://") {
        let id: SpiffeId = from
            .parse()
            .map_err(|error| ExplainError::Identity(from.to_owned(), format!("{error}")))?;
        let namespace = id.namespace().to_owned();
        return Ok(Found {
            workload: String::new(),
            namespace,
            id: Some(id),
            address: None,
            labels: Vec::new(),
        });
    }
    let (namespace, name) = from.split_once('/').unwrap_or(("default", from));
    let named = mesh.workload(namespace, name).cloned();
    // The name of a workload stands for any of its copies.
    let copy = || {
        let mut all = mesh.workloads();
        all.find(|instance| *instance.workload.namespace == *namespace && *instance.workload.name == *name)
            .cloned()
    };
    let instance = named
        .or_else(copy)
        .ok_or_else(|| unknown(mesh, namespace, name))?;
    let label = |(key, value): (&String, &String)| (key.as_str().into(), value.as_str().into());
    Ok(Found {
        workload: described(&instance),
        namespace: namespace.to_owned(),
        id: identity(&instance.workload),
        address: instance.address,
        labels: instance.labels.iter().map(label).collect(),
    })
}

fn unknown(mesh: &Mesh, namespace: &str, name: &str) -> ExplainError {
    let similar = mesh.workloads().find(|instance| {
        let other = &*instance.key.name;
        other.starts_with(name) || name.starts_with(other) || (*instance.workload.name == *name)
    });
    ExplainError::Source(
        format!("{namespace}/{name}"),
        similar.map(|instance| described(instance)),
    )
}

pub(super) fn described(instance: &Instance) -> String {
    format!("{}/{}", instance.key.namespace, instance.key.name)
}

/// The SPIFFE name of a workload; none for one without a proxy.
fn identity(workload: &Workload) -> Option<SpiffeId> {
    let Workload {
        trust_domain,
        namespace,
        service_account,
        ..
    } = workload;
    if service_account.is_empty() {
        return None;
    }
    format!("spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}")
        .parse()
        .ok()
}

fn url(question: &Question) -> Result<(Uri, u16), ExplainError> {
    let refuse = |why: &str| ExplainError::Url(question.url.clone(), why.to_owned());
    let whole = if question.url.contains("://") {
        question.url.clone()
    } else {
        format!("http://{}", question.url)
    };
    let uri: Uri = whole
        .parse()
        .map_err(|error: http::uri::InvalidUri| refuse(&error.to_string()))?;
    if uri.host().is_none_or(str::is_empty) {
        return Err(refuse("it names no host"));
    }
    let customary = match uri.scheme_str() {
        Some("https" | "tls") => Some(443),
        Some("tcp") => None,
        _ => Some(80),
    };
    let port = question
        .port
        .or_else(|| uri.port_u16())
        .or(customary)
        .ok_or_else(|| refuse("it names no port"))?;
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
