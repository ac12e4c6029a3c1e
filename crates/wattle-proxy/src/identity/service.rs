//! Certificates from a service beside the mesh that speaks Istio's certificate API, such as istio-csr.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::{InvalidDnsNameError, ServerName};
use wattle_dns::{Outward, ResolveError, Resolver};
use wattle_identity::{BundleError, Rejection, RevocationLists, SpiffeId, TrustBundle};
use zeroize::Zeroizing;

use super::enrol::{Dialled, EnrolError, Enrolled, certificate, channel};
use super::given::{Given, GivenRoots};
use super::outside::{Outside, Pem};
use crate::settings::{CertificateService, Settings};

/// The life that is asked for, Istio's default (`SECRET_TTL`), in seconds: such a service passes a life of 0 on as it is.
const LIFE_SECS: i64 = 24 * 3600;
/// Most addresses of the service that are tried.
const MAX_TRIED: usize = 4;
/// Most bytes of the token's file.
const MAX_TOKEN: u64 = 64 * 1024;

/// Why the service was not asked, or what it gave is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    #[error("the file {} for the certificate service cannot be read", .0.display())]
    File(PathBuf, #[source] io::Error),
    #[error("the token in {} for the certificate service is empty, too long or not one word", .0.display())]
    Token(PathBuf),
    #[error("the certificate service's roots in {}: {}", .0.display(), .1)]
    Roots(PathBuf, String),
    #[error("the certificate service's name {0} is none")]
    Name(String, #[source] InvalidDnsNameError),
    #[error("the certificate service's name {0} is not resolved")]
    Unresolved(String, #[source] ResolveError),
    #[error("certificate service {0} not reached: {1}")]
    Unreached(String, String),
    #[error("the certificate service gave {0} no root to believe")]
    NoRoot(SpiffeId),
    #[error("the root that came from the certificate service cannot be used")]
    Root(#[from] BundleError),
    #[error("the certificate service's certificate for {0} is refused under the root that came with it")]
    Chain(SpiffeId, #[source] Rejection),
}

/// Asks once, with the token as it stands in its file now.
pub(super) async fn request(
    settings: &Arc<Settings>,
    service: &CertificateService,
) -> Result<Given, EnrolError> {
    let token = token(&service.token)?;
    let tls = tls(settings, service)?;
    let channel = reach(settings, service, &tls).await?;
    let Enrolled { svid, root_pem } = certificate(channel, &settings.id, Some(&token), LIFE_SECS).await?;
    let id = &settings.id;
    let root = root_pem.ok_or_else(|| ServiceError::NoRoot(id.clone()))?;
    let roots = GivenRoots {
        own: TrustBundle::from_pem(settings.trust_domain(), root.as_bytes()).map_err(ServiceError::Root)?,
        federated: Vec::new(),
        revoked: RevocationLists::default(),
    };
    svid.check(&roots.own_set(), settings.clock.now())
        .map_err(|rejection| ServiceError::Chain(id.clone(), rejection))?;
    Ok(Given { svid, roots })
}

fn token(path: &Path) -> Result<Zeroizing<String>, ServiceError> {
    let unread = |error| ServiceError::File(path.to_owned(), error);
    let wrong = || ServiceError::Token(path.to_owned());
    if std::fs::metadata(path).map_err(unread)?.len() > MAX_TOKEN {
        return Err(wrong());
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(unread)?);
    let word = text.trim();
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong());
    }
    Ok(Zeroizing::new(word.to_owned()))
}

fn tls(settings: &Settings, service: &CertificateService) -> Result<Arc<ClientConfig>, ServiceError> {
    let path = &service.roots;
    let roots = std::fs::read(path).map_err(|error| ServiceError::File(path.clone(), error))?;
    let pem = Pem {
        roots,
        ..Pem::default()
    };
    let wrong = |problem| ServiceError::Roots(path.clone(), problem);
    let outside = Arc::new(Outside::read(&pem).map_err(wrong)?);
    outside
        .client(&[], false, &[b"h2"], &settings.clock)
        .map_err(|error| wrong(error.to_string()))
}

/// The first of the service's addresses that answers under its name.
async fn reach(
    settings: &Settings,
    service: &CertificateService,
    tls: &Arc<ClientConfig>,
) -> Result<tonic::transport::Channel, ServiceError> {
    let host = &service.host;
    let name = ServerName::try_from(host.clone()).map_err(|error| ServiceError::Name(host.clone(), error))?;
    let outward = Outward { mark: settings.mark };
    let resolver = Resolver::over(&crate::names::resolvers().resolvers, outward);
    let resolved = resolver.resolve(host).await;
    let resolved = resolved.map_err(|error| ServiceError::Unresolved(host.clone(), error))?;
    let mut problem = "it has no address".to_owned();
    for ip in resolved.addresses.into_iter().take(MAX_TRIED) {
        let dialled = Dialled {
            address: SocketAddr::new(ip, service.port),
            name: name.clone(),
            mark: settings.mark,
        };
        match channel(dialled, tls.clone()).await {
            Ok(channel) => return Ok(channel),
            Err(error) => problem = error,
        }
    }
    Err(ServiceError::Unreached(
        format!("{host}:{}", service.port),
        problem,
    ))
}

#[cfg(test)]
pub(super) mod tests;
