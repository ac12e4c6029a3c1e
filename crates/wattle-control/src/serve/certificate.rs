//! Istio's certificate service: who gets a certificate, and for which name.
//!
//! A caller is known by the certificate of its connection (a renewal), else by a join token in `authorization: Bearer …`.
//! Either proves one name, and the certificate is for that name whatever the request asks for. A token is good for one
//! certificate: a proxy that starts anew is given a new one.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;
use tonic::{Code, Request, Response, Status};
use wattle_identity::{Issued, SignError};
use wattle_wire::proto::certificate::istio_certificate_service_server::IstioCertificateService;
use wattle_wire::proto::certificate::{IstioCertificateRequest, IstioCertificateResponse};

use super::{Caller, Services};
use crate::issuer::{Issuer, NotIssued, Proof};
use crate::metrics::{Metrics, count};

/// Requests in work at a time; further ones are told to come again.
const MAX_IN_WORK: usize = 64;

/// Why a certificate was not given. What the caller is told reveals nothing about other callers.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("too many certificate requests, try again")]
    Busy,
    #[error("neither a client certificate nor a join token")]
    Unknown,
    #[error("join token is not valid")]
    Token(#[source] wattle_identity::TokenError),
    #[error("certificate of the connection is not valid any more")]
    Expired(#[source] wattle_identity::Rejection),
    #[error("lifetime of {0} s, 0 or more expected")]
    Lifetime(i64),
    #[error(transparent)]
    Request(SignError),
    #[error("certificate could not be issued")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Refusal {
    fn code(&self) -> Code {
        match self {
            Self::Busy => Code::ResourceExhausted,
            Self::Unknown | Self::Token(_) | Self::Expired(_) => Code::Unauthenticated,
            Self::Lifetime(_) => Code::InvalidArgument,
            Self::Request(SignError::ForeignTrustDomain { .. }) => Code::PermissionDenied,
            Self::Request(SignError::Request(wattle_identity::CsrError::OtherName { .. })) => {
                Code::PermissionDenied
            }
            Self::Request(SignError::Request(_)) => Code::InvalidArgument,
            Self::Request(_) | Self::Internal(_) => Code::Internal,
        }
    }
}

pub(crate) struct Certificates {
    issuer: Arc<Issuer>,
    metrics: Arc<Metrics>,
    in_work: Arc<Semaphore>,
}

impl Certificates {
    pub(crate) fn new(services: Services) -> Self {
        let Services { issuer, metrics, .. } = services;
        Self {
            issuer,
            metrics,
            in_work: Arc::new(Semaphore::new(MAX_IN_WORK)),
        }
    }

    async fn create(&self, request: Request<IstioCertificateRequest>) -> Result<Issued, Refusal> {
        let proof = proof(&request)?;
        let message = request.into_inner();
        let seconds = u64::try_from(message.validity_duration)
            .map_err(|_| Refusal::Lifetime(message.validity_duration))?;
        let permit = self
            .in_work
            .clone()
            .try_acquire_owned()
            .map_err(|_| Refusal::Busy)?;
        let issuer = self.issuer.clone();
        let signing = move || {
            let _permit = permit;
            issuer
                .issue(&proof, &message.csr, Duration::from_secs(seconds))
                .map_err(|error| match error {
                    NotIssued::Token(error) => Refusal::Token(error),
                    NotIssued::Sign(error) => Refusal::Request(error),
                    NotIssued::Store(error) => Refusal::Internal(error.into()),
                })
        };
        tokio::task::spawn_blocking(signing)
            .await
            .map_err(|error| Refusal::Internal(error.into()))?
    }
}

/// A token wins over a certificate: who brings one wants to be who the token is for.
fn proof(request: &Request<IstioCertificateRequest>) -> Result<Proof, Refusal> {
    if let Some(value) = request.metadata().get("authorization") {
        let text = value.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        let token = text
            .ok_or(wattle_identity::TokenError::Malformed)
            .and_then(|text| text.trim().parse());
        return token.map(Proof::Token).map_err(Refusal::Token);
    }
    let caller = request.extensions().get::<Caller>();
    let peer = caller
        .and_then(|caller| caller.peer.as_ref())
        .ok_or(Refusal::Unknown)?;
    peer.check_time(SystemTime::now()).map_err(Refusal::Expired)?;
    Ok(Proof::Certificate(peer.id().clone(), peer.serial().to_owned()))
}

#[tonic::async_trait]
impl IstioCertificateService for Certificates {
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        let address = request.extensions().get::<Caller>().map(|caller| caller.address);
        match self.create(request).await {
            Ok(issued) => {
                count(&self.metrics.certificates_issued);
                Ok(Response::new(IstioCertificateResponse {
                    cert_chain: issued.pem_blocks(),
                }))
            }
            Err(refusal) => {
                count(&self.metrics.certificates_refused);
                let cause = std::error::Error::source(&refusal).map(ToString::to_string);
                tracing::warn!(?address, %refusal, ?cause, "certificate refused");
                Err(Status::new(refusal.code(), refusal.to_string()))
            }
        }
    }
}
