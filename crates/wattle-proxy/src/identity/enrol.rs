//! Asking for a certificate (Istio's `CreateCertificate`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request, Status};
use wattle_identity::{KeyError, SpiffeId, Svid, SvidError, SvidRequest};
use wattle_net::ConnectOptions;
use wattle_wire::proto::certificate::IstioCertificateRequest;
use wattle_wire::proto::certificate::istio_certificate_service_client::IstioCertificateServiceClient;

use super::service::ServiceError;
use super::workload_api::OfferError;
use crate::settings::Settings;

/// Longest wait for one answer of the authority.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why no certificate was had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnrolError {
    /// Not reachable.
    #[error("control plane not reached: {0}")]
    Unreachable(String),
    /// It refused.
    #[error("certificate request refused: {}: {}", .0.code(), .0.message())]
    Refused(Box<Status>),
    /// No key could be made.
    #[error("no key for the certificate request")]
    Key(#[from] KeyError),
    /// What came is not a certificate for our key.
    #[error("the certificate that came cannot be used")]
    Unusable(#[from] SvidError),
    /// What the Workload API offers is not used.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// Nothing was had of the certificate service.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The certificate names somebody else.
    #[error("the certificate that came is for {0}")]
    OtherName(String),
}

impl EnrolError {
    /// Will asking again the same way never succeed?
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Refused(status) if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied))
    }
}

/// A certificate and the root that came with it.
pub(crate) struct Enrolled {
    pub(crate) svid: Svid,
    pub(crate) root_pem: Option<String>,
}

/// Whom a certificate is asked of.
pub(super) struct Dialled {
    pub(super) address: SocketAddr,
    /// By which it is known in the handshake.
    pub(super) name: ServerName<'static>,
    /// Mark on the socket, exempt from redirection.
    pub(super) mark: Option<u32>,
}

/// Opens a connection to the control plane under these TLS settings.
pub(crate) async fn control_channel(
    settings: &Arc<Settings>,
    tls: Arc<ClientConfig>,
) -> Result<Channel, String> {
    let dialled = Dialled {
        address: settings.control,
        name: ServerName::from(settings.control.ip()),
        mark: settings.mark,
    };
    channel(dialled, tls).await
}

/// Opens a connection for gRPC.
pub(super) async fn channel(dialled: Dialled, tls: Arc<ClientConfig>) -> Result<Channel, String> {
    let Dialled { address, name, mark } = dialled;
    let options = ConnectOptions {
        mark,
        ..ConnectOptions::default()
    };
    let connector = tower::service_fn(move |_: Uri| {
        let (options, name) = (options.clone(), name.clone());
        let tls = TlsConnector::from(tls.clone());
        async move {
            let socket = wattle_net::connect(address, &options)
                .await
                .map_err(std::io::Error::other)?;
            let handshake = tls.connect(name, socket);
            let stream = tokio::time::timeout(TIMEOUT, handshake)
                .await
                .map_err(std::io::Error::other)??;
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        }
    });
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| error.to_string())?
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true);
    endpoint
        .connect_with_connector(connector)
        .await
        .map_err(|error| chain(&error))
}

/// Requests a certificate; the caller is known by its current certificate (in `tls`) or by `token`.
pub(crate) async fn enrol(
    settings: &Arc<Settings>,
    tls: Arc<ClientConfig>,
    token: Option<&str>,
) -> Result<Enrolled, EnrolError> {
    let channel = control_channel(settings, tls)
        .await
        .map_err(EnrolError::Unreachable)?;
    certificate(channel, &settings.id, token, 0).await
}

/// Makes a key and requests a certificate for it; a life of 0 seconds leaves that to whoever signs.
pub(super) async fn certificate(
    channel: Channel,
    id: &SpiffeId,
    token: Option<&str>,
    life_secs: i64,
) -> Result<Enrolled, EnrolError> {
    let request = SvidRequest::new(id)?;
    let mut call = Request::new(IstioCertificateRequest {
        csr: request.csr_pem().to_owned(),
        validity_duration: life_secs,
    });
    call.set_timeout(TIMEOUT);
    if let Some(token) = token
        && let Ok(value) = format!("Bearer {token}").parse()
    {
        call.metadata_mut().insert("authorization", value);
    }
    let answer = IstioCertificateServiceClient::new(channel)
        .create_certificate(call)
        .await;
    let mut chain = answer
        .map_err(|status| EnrolError::Refused(Box::new(status)))?
        .into_inner()
        .cert_chain;
    let root_pem = if chain.len() > 1 { chain.pop() } else { None };
    let svid = request.into_svid(&chain.concat())?;
    if svid.id() != id {
        return Err(EnrolError::OtherName(svid.id().to_string()));
    }
    Ok(Enrolled { svid, root_pem })
}

/// An error with its causes on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
