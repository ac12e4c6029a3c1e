//! One fetch: the address, what its name resolves to, a document, and for OpenID Connect Discovery the document it names.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Uri, header};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use wattle_http::{Body, Limits, Request, RequestHead, Scheme, h1};
use wattle_jwt::{KeySet, KeySetError, MAX_KEY_SET_BYTES};
use wattle_model::IpBlock;
use wattle_net::Clock;

use super::{KeySettings, guard};

/// What an address of OpenID Connect Discovery ends with.
const DISCOVERY: &str = "/.well-known/openid-configuration";
/// Where systems keep the roots they trust: Debian, Fedora, SUSE, Alpine; the first that is there counts.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("address is not http:// or https:// with a host")]
    Address,
    #[error("name cannot be resolved")]
    Resolve(#[source] io::Error),
    #[error("name resolves to addresses that must not be asked; allow one with --keys-allow")]
    Guarded,
    #[error(
        "address is http://, and what is said in plaintext is believed of loopback alone; write https://, or allow the address with --keys-plaintext"
    )]
    Plaintext,
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("no TLS")]
    Tls(#[source] io::Error),
    #[error("no answer")]
    Exchange(#[source] Box<dyn std::error::Error>),
    #[error("status is {0}, expected 200; redirects are not followed")]
    Status(u16),
    #[error("took longer than {0:?}")]
    Timeout(Duration),
    #[error("discovery document is not JSON with `issuer` and `jwks_uri`")]
    Discovery,
    #[error("discovery document is of another issuer")]
    Issuer,
    #[error(transparent)]
    Keys(#[from] KeySetError),
    #[error("key set is not text")]
    Text,
    #[error("key set has no key that can be used")]
    NoKey,
}

impl FetchError {
    /// The error with its causes.
    pub(super) fn told(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// The part of a discovery document that is read (OpenID Connect Discovery 1.0 section 3).
#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
}

/// How a key set is wanted.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    /// Longest time of each request.
    pub(super) limit: Duration,
    /// Whether plaintext is believed of any address.
    pub(super) plaintext: bool,
}

/// Fetches documents.
pub(super) struct Fetcher {
    allow: Vec<IpBlock>,
    plaintext: Vec<IpBlock>,
    tls: TlsConnector,
}

impl Fetcher {
    pub(super) fn new(settings: &KeySettings, clock: &Clock) -> Self {
        let mut roots = RootCertStore::empty();
        let system = SYSTEM_ROOTS.iter().map(Path::new).find(|path| path.exists());
        for path in system.into_iter().chain(settings.roots.as_deref()) {
            let certificates =
                CertificateDer::pem_file_iter(path).map(|all| all.flatten().collect::<Vec<_>>());
            match certificates {
                Ok(all) => _ = roots.add_parsable_certificates(all),
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "roots for fetching keys cannot be read");
                }
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_details(provider, Arc::new(clock.clone()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows suites of TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            allow: settings.allow.clone(),
            plaintext: settings.plaintext.clone(),
            tls: TlsConnector::from(Arc::new(config)),
        }
    }

    /// The key set that is wanted from an address.
    pub(super) async fn key_set(&self, address: &str, wish: Wish) -> Result<Arc<str>, FetchError> {
        let text = match address.strip_suffix(DISCOVERY) {
            None => self.document(address, wish).await?,
            Some(issuer) => {
                let document = self.document(address, wish).await?;
                let found: Discovered = serde_json::from_str(&document).map_err(|_| FetchError::Discovery)?;
                if found.issuer.trim_end_matches('/') != issuer {
                    return Err(FetchError::Issuer);
                }
                self.document(&found.jwks_uri, wish).await?
            }
        };
        if KeySet::parse(&text)?.is_empty() {
            return Err(FetchError::NoKey);
        }
        Ok(text)
    }

    async fn document(&self, address: &str, wish: Wish) -> Result<Arc<str>, FetchError> {
        let asked = tokio::time::timeout(wish.limit, self.ask(address, wish.plaintext)).await;
        asked.unwrap_or(Err(FetchError::Timeout(wish.limit)))
    }

    async fn ask(&self, address: &str, plaintext: bool) -> Result<Arc<str>, FetchError> {
        let uri: Uri = address.parse().map_err(|_| FetchError::Address)?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(FetchError::Address),
        };
        let named = uri.host().filter(|host| !host.is_empty());
        let named = named.ok_or(FetchError::Address)?;
        let host = named.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let socket = self.connect(host, port, secure || plaintext).await?;
        let client = if secure {
            let name = ServerName::try_from(host.to_owned()).map_err(|_| FetchError::Address)?;
            let stream = self.tls.connect(name, socket).await.map_err(FetchError::Tls)?;
            h1::Client::new(stream, Rc::new(Limits::default()), None)
        } else {
            h1::Client::new(socket, Rc::new(Limits::default()), None)
        };
        let authority = match uri.port_u16() {
            Some(port) => format!("{named}:{port}"),
            None => named.to_owned(),
        };
        exchange(client, &uri, authority, secure).await
    }

    /// To the first address that may be asked and answers; the name is not resolved a second time.
    async fn connect(&self, host: &str, port: u16, believed: bool) -> Result<TcpStream, FetchError> {
        let resolved = tokio::net::lookup_host((host, port))
            .await
            .map_err(FetchError::Resolve)?;
        let mut allowed: Vec<SocketAddr> = resolved
            .filter(|address| guard::may_be_asked(address.ip(), &self.allow))
            .collect();
        if allowed.is_empty() {
            return Err(FetchError::Guarded);
        }
        if !believed {
            allowed.retain(|address| guard::may_answer_in_plaintext(address.ip(), &self.plaintext));
        }
        if allowed.is_empty() {
            return Err(FetchError::Plaintext);
        }
        TcpStream::connect(&*allowed).await.map_err(FetchError::Connect)
    }
}

async fn exchange(
    client: h1::Client,
    uri: &Uri,
    authority: String,
    secure: bool,
) -> Result<Arc<str>, FetchError> {
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut head = RequestHead::new(Method::GET, authority, target);
    head.scheme = if secure { Scheme::Https } else { Scheme::Http };
    head.headers
        .insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    head.headers
        .insert(header::USER_AGENT, HeaderValue::from_static("wattle"));
    let sent = client.send(Request::new(head, Body::Empty)).await;
    let response = sent.map_err(|error| FetchError::Exchange(format!("{:?}", error.kind).into()))?;
    if response.head.status != http::StatusCode::OK {
        return Err(FetchError::Status(response.head.status.as_u16()));
    }
    let body = response.body.collect(MAX_KEY_SET_BYTES).await;
    let body = body.map_err(|error| FetchError::Exchange(Box::new(error)))?;
    let text = std::str::from_utf8(&body).map_err(|_| FetchError::Text)?;
    Ok(text.into())
}

#[cfg(test)]
mod tests;
