//! The workload's certificate and key for its Envoy, from memory, again whenever they are renewed.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use wattle_envoy::secret;
use wattle_wire::proto::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, EncodedAny, Resource,
};
use wattle_wire::proto::secret::secret_discovery_service_server::SecretDiscoveryService;

use crate::identity::Credentials;

type Current = watch::Receiver<Option<Arc<Credentials>>>;

/// Messages that wait for a slow reader.
const MAX_WAITING: usize = 4;

/// Serves both secrets.
pub(super) struct Secrets {
    credentials: Current,
}

/// What one stream asked for, and what it was sent.
#[derive(Default)]
struct Asked {
    /// By name, with the version sent last.
    names: BTreeMap<String, String>,
    sent: u64,
}

/// A secret that is to be sent.
struct Fresh {
    name: String,
    version: String,
    body: Bytes,
}

impl Asked {
    /// Asks for a name; again, so that it is sent again.
    fn add(&mut self, name: String) -> Result<(), Status> {
        if !matches!(name.as_str(), secret::IDENTITY | secret::ROOTS) {
            let (own, roots) = (secret::IDENTITY, secret::ROOTS);
            return Err(Status::not_found(format!(
                "no secret \"{name}\", expected \"{own}\" or \"{roots}\""
            )));
        }
        self.names.insert(name, String::new());
        Ok(())
    }

    /// Makes these the names asked for; those that were asked for before keep what they were sent.
    fn replace(&mut self, names: Vec<String>) -> Result<(), Status> {
        self.names.retain(|name, _| names.contains(name));
        for name in names {
            if !self.names.contains_key(&name) {
                self.add(name)?;
            }
        }
        Ok(())
    }

    /// What has changed since it was sent.
    fn fresh(&mut self, current: &Credentials) -> Vec<Fresh> {
        let roots = current.roots_pem();
        let mut fresh = Vec::new();
        for (name, sent) in &mut self.names {
            let is_own = name == secret::IDENTITY;
            let version = if is_own {
                version(current.svid().chain_pem().as_bytes())
            } else {
                version(roots.as_bytes())
            };
            if *sent == version {
                continue;
            }
            sent.clone_from(&version);
            let body = if is_own {
                secret::identity(&current.svid().chain_pem(), &current.svid().key_pem())
            } else {
                secret::roots(&roots)
            };
            fresh.push(Fresh {
                name: name.clone(),
                version,
                body,
            });
        }
        fresh
    }

    fn nonce(&mut self) -> String {
        self.sent += 1;
        self.sent.to_string()
    }
}

/// Says whether something is new; no defence.
fn version(bytes: &[u8]) -> String {
    wattle_wire::Encoded::new(Bytes::copy_from_slice(bytes))
        .version
        .to_string()
}

fn any(body: Bytes) -> EncodedAny {
    EncodedAny {
        type_url: secret::TYPE_URL.to_owned(),
        value: body,
    }
}

/// A protocol of a stream of secrets.
trait Protocol: Send + 'static {
    type Request: Send + 'static;
    type Response: Send + 'static;
    fn hear(asked: &mut Asked, request: Self::Request) -> Result<(), Status>;
    fn say(fresh: Vec<Fresh>, nonce: String) -> Self::Response;
}

struct Delta;
struct World;

impl Protocol for Delta {
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;

    fn hear(asked: &mut Asked, request: DeltaDiscoveryRequest) -> Result<(), Status> {
        refused(request.error_detail.as_ref());
        for name in &request.resource_names_unsubscribe {
            asked.names.remove(name);
        }
        request
            .resource_names_subscribe
            .into_iter()
            .try_for_each(|name| asked.add(name))
    }

    fn say(fresh: Vec<Fresh>, nonce: String) -> DeltaDiscoveryResponse {
        let resources = fresh.into_iter().map(|fresh| Resource {
            name: fresh.name,
            version: fresh.version,
            resource: Some(any(fresh.body)),
            ..Resource::default()
        });
        DeltaDiscoveryResponse {
            type_url: secret::TYPE_URL.to_owned(),
            nonce,
            resources: resources.collect(),
            ..DeltaDiscoveryResponse::default()
        }
    }
}

impl Protocol for World {
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;

    fn hear(asked: &mut Asked, request: DiscoveryRequest) -> Result<(), Status> {
        refused(request.error_detail.as_ref());
        asked.replace(request.resource_names)
    }

    fn say(fresh: Vec<Fresh>, nonce: String) -> DiscoveryResponse {
        DiscoveryResponse {
            version_info: nonce.clone(),
            type_url: secret::TYPE_URL.to_owned(),
            nonce,
            resources: fresh.into_iter().map(|fresh| any(fresh.body)).collect(),
        }
    }
}

fn refused(error: Option<&wattle_wire::proto::discovery::Status>) {
    if let Some(error) = error {
        tracing::warn!(
            reason = error.message,
            "a secret was refused, the last good one stays in use"
        );
    }
}

impl Secrets {
    pub(super) fn new(credentials: Current) -> Self {
        Self { credentials }
    }

    fn open<P: Protocol>(
        &self,
        request: Request<Streaming<P::Request>>,
    ) -> Response<ReceiverStream<Result<P::Response, Status>>> {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let (requests, credentials) = (request.into_inner(), self.credentials.clone());
        // Owned by the stream: it ends with either direction.
        tokio::spawn(async move {
            if let Err(status) = converse::<P>(requests, credentials, &sender).await {
                let _ = sender.send(Err(status)).await;
            }
        });
        Response::new(ReceiverStream::new(receiver))
    }
}

async fn converse<P: Protocol>(
    mut requests: Streaming<P::Request>,
    mut credentials: Current,
    sender: &mpsc::Sender<Result<P::Response, Status>>,
) -> Result<(), Status> {
    let mut asked = Asked::default();
    loop {
        tokio::select! {
            request = requests.message() => match request? {
                Some(request) => P::hear(&mut asked, request)?,
                None => return Ok(()),
            },
            changed = credentials.changed() => {
                changed.map_err(|_| Status::unavailable("the agent is stopping"))?;
            }
            () = sender.closed() => return Ok(()),
        }
        let current = credentials.borrow_and_update().clone();
        let fresh = current.map_or(Vec::new(), |current| asked.fresh(&current));
        if !fresh.is_empty() {
            let response = P::say(fresh, asked.nonce());
            if sender.send(Ok(response)).await.is_err() {
                return Ok(());
            }
        }
    }
}

#[tonic::async_trait]
impl SecretDiscoveryService for Secrets {
    type DeltaSecretsStream = ReceiverStream<Result<DeltaDiscoveryResponse, Status>>;
    type StreamSecretsStream = ReceiverStream<Result<DiscoveryResponse, Status>>;

    async fn delta_secrets(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaSecretsStream>, Status> {
        Ok(self.open::<Delta>(request))
    }

    async fn stream_secrets(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamSecretsStream>, Status> {
        Ok(self.open::<World>(request))
    }
}
