//! Certificates from SPIRE, by the SPIFFE Workload API: a stream on a Unix socket that says the whole truth with each message.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tonic::metadata::MetadataValue;
use tonic::transport::{Endpoint, Uri};
use tonic::{Code, Request, Status};
use wattle_identity::{
    BundleError, Rejection, RevocationError, RevocationLists, SpiffeId, Svid, SvidError, TrustBundle,
    TrustDomain,
};
use wattle_wire::proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use wattle_wire::proto::workload::{X509svid, X509svidRequest, X509svidResponse};
use zeroize::Zeroize as _;

use super::IdentityHealth;
use super::given::{Given, GivenRoots};

/// First wait before the stream is opened again; doubles to [`MAX_BACKOFF`].
const MIN_BACKOFF: Duration = Duration::from_millis(200);
/// Longest wait.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// Longest wait for the socket to take a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Most offered names that an error tells.
const MAX_TOLD: usize = 8;
/// The scheme of a SPIFFE ID.
const SCHEME: &str = "spiffe://";

/// A message of the Workload API; the keys in it are wiped when it is dropped.
pub(super) struct Offer(X509svidResponse);

impl Drop for Offer {
    fn drop(&mut self) {
        for svid in &mut self.0.svids {
            svid.x509_svid_key.zeroize();
        }
    }
}

/// Why an offer is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OfferError {
    #[error("the Workload API has not answered yet")]
    None,
    #[error("the Workload API offers {0}, expected {1}")]
    OtherNames(String, SpiffeId),
    #[error("the Workload API's certificate for {0} cannot be used")]
    Svid(SpiffeId, #[source] SvidError),
    #[error("the Workload API's certificate names {got}, expected {expected}")]
    OtherName { got: SpiffeId, expected: SpiffeId },
    #[error("the Workload API's certificate for {0} is refused")]
    Chain(SpiffeId, #[source] Rejection),
    #[error("the Workload API's roots of {0} cannot be used")]
    Bundle(String, #[source] BundleError),
    #[error("the Workload API names a trust domain `{0}`, expected spiffe://NAME")]
    TrustDomain(String),
    #[error("the Workload API's revocation lists cannot be used")]
    Revoked(#[from] RevocationError),
}

impl Offer {
    /// Checks everything before anything is used: name, key, chain, roots, revocations.
    fn read(&self, id: &SpiffeId, now: SystemTime) -> Result<Given, OfferError> {
        let offered = self.0.svids.iter().find(|svid| svid.spiffe_id == id.as_str());
        let offered = offered.ok_or_else(|| OfferError::OtherNames(named(&self.0.svids), id.clone()))?;
        let svid = Svid::from_der(&offered.x509_svid, &offered.x509_svid_key)
            .map_err(|error| OfferError::Svid(id.clone(), error))?;
        if svid.id() != id {
            return Err(OfferError::OtherName {
                got: svid.id().clone(),
                expected: id.clone(),
            });
        }
        let own = bundle(&format!("{SCHEME}{}", id.trust_domain()), &offered.bundle)?;
        let federated = self.0.federated_bundles.iter();
        let federated = federated
            .filter_map(|(name, roots)| foreign(name, roots))
            .collect();
        let roots = GivenRoots {
            own,
            federated,
            revoked: RevocationLists::from_der(self.0.crl.clone())?,
        };
        svid.check(&roots.own_set(), now)
            .map_err(|rejection| OfferError::Chain(id.clone(), rejection))?;
        Ok(Given { svid, roots })
    }
}

/// A foreign domain's slip is no reason to go without a certificate: nobody of it is believed then.
fn foreign(name: &str, roots: &[u8]) -> Option<TrustBundle> {
    let read = bundle(name, roots);
    if let Err(error) = &read {
        tracing::warn!(
            error = super::enrol::chain(error),
            "a foreign trust domain is left out"
        );
    }
    read.ok()
}

fn bundle(name: &str, roots: &[u8]) -> Result<TrustBundle, OfferError> {
    let domain = name.strip_prefix(SCHEME).map(|rest| rest.trim_end_matches('/'));
    let domain = domain.and_then(|domain| TrustDomain::new(domain).ok());
    let domain = domain.ok_or_else(|| OfferError::TrustDomain(name.chars().take(300).collect()))?;
    TrustBundle::from_der(domain, roots).map_err(|error| OfferError::Bundle(name.to_owned(), error))
}

fn named(svids: &[X509svid]) -> String {
    let names = svids.iter().take(MAX_TOLD);
    let names: Vec<String> = names
        .map(|svid| svid.spiffe_id.chars().take(300).collect())
        .collect();
    match (names.is_empty(), svids.len().saturating_sub(MAX_TOLD)) {
        (true, _) => "no certificate".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

/// The Workload API as the keeper sees it.
pub(super) struct WorkloadApi {
    offers: watch::Receiver<Option<Arc<Offer>>>,
}

impl WorkloadApi {
    /// Follows the stream at this socket for the proxy's life; within a local set.
    pub(super) fn follow(socket: PathBuf, health: Arc<IdentityHealth>) -> Self {
        let (sender, offers) = watch::channel(None);
        tokio::task::spawn_local(follow(socket, sender, health));
        Self { offers }
    }

    /// Waits for an offer that was not taken yet.
    pub(super) async fn changed(&mut self) {
        if self.offers.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The newest offer, taken before or not.
    pub(super) fn take(&mut self, id: &SpiffeId, now: SystemTime) -> Result<Given, OfferError> {
        let offer = self.offers.borrow_and_update().clone();
        offer.ok_or(OfferError::None)?.read(id, now)
    }
}

/// Opens the stream again and again, until nobody listens.
async fn follow(socket: PathBuf, sender: watch::Sender<Option<Arc<Offer>>>, health: Arc<IdentityHealth>) {
    let mut backoff = MIN_BACKOFF;
    while !sender.is_closed() {
        let mut answered = false;
        let ended = one_stream(&socket, |offer| {
            answered = true;
            sender.send_replace(Some(Arc::new(offer)));
        });
        let status = tokio::select! {
            status = ended => status,
            () = sender.closed() => return,
        };
        health.failures.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(socket = %socket.display(), code = ?status.code(), cause = status.message(),
            "the stream of the Workload API broke");
        backoff = match (answered, status.code()) {
            (true, _) => MIN_BACKOFF,
            // The specification: asking again the same way does not help.
            (false, Code::InvalidArgument) => MAX_BACKOFF,
            (false, _) => (backoff * 2).min(MAX_BACKOFF),
        };
        let wait = backoff.mul_f64(0.5 + rand::random::<f64>() / 2.0);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = sender.closed() => return,
        }
    }
}

/// Why the stream ended, after all it offered.
async fn one_stream(socket: &Path, offered: impl FnMut(Offer)) -> Status {
    match try_stream(socket, offered).await {
        Ok(()) => Status::unavailable("it was closed"),
        Err(status) => status,
    }
}

async fn try_stream(socket: &Path, mut offered: impl FnMut(Offer)) -> Result<(), Status> {
    let path = socket.to_owned();
    let connector = tower::service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://localhost")
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .connect_with_connector(connector)
        .await
        .map_err(|error| Status::unavailable(super::enrol::chain(&error)))?;
    let mut request = Request::new(X509svidRequest {});
    // Without it the request could come from a web page that was talked into it.
    request
        .metadata_mut()
        .insert("workload.spiffe.io", MetadataValue::from_static("true"));
    let answer = SpiffeWorkloadApiClient::new(channel)
        .fetch_x509svid(request)
        .await?;
    let mut stream = answer.into_inner();
    while let Some(message) = stream.message().await? {
        offered(Offer(message));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
