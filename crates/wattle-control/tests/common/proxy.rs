//! The proxy's side of the conversation.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request, Status, Streaming};
use wattle_identity::{Expected, SpiffeId, Svid, SvidRequest, TlsSettings};
use wattle_wire::delta::{Subscriber, Update};
use wattle_wire::proto::certificate::IstioCertificateRequest;
use wattle_wire::proto::certificate::istio_certificate_service_client::IstioCertificateServiceClient;
use wattle_wire::proto::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use wattle_wire::proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node};
use wattle_wire::{Kind, Resource, ResourceName};

use super::{PATIENCE, World};

fn expected() -> Expected {
    Expected::only(
        "spiffe://cluster.local/ns/wattle-system/sa/wattle-control"
            .parse()
            .unwrap(),
    )
}

pub async fn dial(world: &World, tls: Arc<ClientConfig>) -> Result<Channel, tonic::transport::Error> {
    let address = world.control().discovery();
    let connector = tower::service_fn(move |_: Uri| {
        let tls = TlsConnector::from(tls.clone());
        async move {
            let socket = TcpStream::connect(address).await?;
            let stream = tls.connect(ServerName::from(address.ip()), socket).await?;
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        }
    });
    Endpoint::from_shared(format!("http://{address}"))?
        .connect_with_connector(connector)
        .await
}

/// TLS as the holder of a certificate, or as nobody.
pub fn tls(world: &World, svid: Option<&Svid>) -> Arc<ClientConfig> {
    let settings = TlsSettings::new(Arc::new(world.bundles()), &[b"h2"]);
    match svid {
        Some(svid) => settings.client(svid, expected()).unwrap(),
        None => settings.anonymous_client(expected()).unwrap(),
    }
}

/// Asks for a certificate for `id`.
pub async fn enrol(
    world: &World,
    own: Option<&Svid>,
    token: Option<&str>,
    id: &SpiffeId,
) -> Result<Svid, Status> {
    let channel = dial(world, tls(world, own))
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let request = SvidRequest::new(id).unwrap();
    let mut call = Request::new(IstioCertificateRequest {
        csr: request.csr_pem().to_owned(),
        validity_duration: 0,
    });
    if let Some(token) = token {
        call.metadata_mut()
            .insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let answer = IstioCertificateServiceClient::new(channel)
        .create_certificate(call)
        .await?;
    let mut chain = answer.into_inner().cert_chain;
    assert!(chain.len() >= 3, "leaf, issuer, root");
    chain.pop();
    Ok(request.into_svid(&chain.concat()).unwrap())
}

/// What a proxy wants and holds; survives its streams.
pub struct Proxy {
    pub svid: Svid,
    pub node: String,
    pub subscriber: Subscriber,
    pub held: BTreeMap<ResourceName, Resource>,
    pub received: usize,
    stream: Option<(
        mpsc::Sender<DeltaDiscoveryRequest>,
        Streaming<DeltaDiscoveryResponse>,
    )>,
}

impl Proxy {
    pub fn new(svid: Svid, node: &str) -> Self {
        Self {
            svid,
            node: node.to_owned(),
            subscriber: Subscriber::new(),
            held: BTreeMap::new(),
            received: 0,
            stream: None,
        }
    }

    pub async fn connect(&mut self, world: &World) -> Result<(), Status> {
        self.subscriber.disconnected();
        let channel = dial(world, tls(world, Some(&self.svid)))
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let (sender, receiver) = mpsc::channel(64);
        let node = Node {
            id: self.node.clone(),
            user_agent_name: "test".to_owned(),
            ..Node::default()
        };
        let mut first = self.subscriber.connected();
        if first.is_empty() {
            first.push(DeltaDiscoveryRequest {
                type_url: Kind::Inbound.type_url().to_owned(),
                ..Default::default()
            });
        }
        first[0].node = Some(node);
        for request in first {
            sender.send(request).await.unwrap();
        }
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        let responses = client
            .delta_aggregated_resources(ReceiverStream::new(receiver))
            .await?
            .into_inner();
        self.stream = Some((sender, responses));
        Ok(())
    }

    pub async fn want(&mut self, kind: Kind, name: &str) -> ResourceName {
        let name = ResourceName::new(kind, name);
        let request = self.subscriber.subscribe(&name, None);
        if let (Some((sender, _)), Some(request)) = (&self.stream, request) {
            sender.send(request).await.unwrap();
        }
        name
    }

    /// Takes in and acks one response.
    pub async fn receive(&mut self) -> Result<(), Status> {
        let (sender, responses) = self.stream.as_mut().unwrap();
        let message = tokio::time::timeout(PATIENCE, responses.message())
            .await
            .expect("nothing comes");
        let response = message?.ok_or_else(|| Status::unavailable("closed"))?;
        let received = self.subscriber.response(response);
        assert_eq!(received.rejected, Vec::new());
        for update in received.updates {
            self.received += 1;
            match update {
                Update::Changed(name, resource, _) => drop(self.held.insert(name, *resource)),
                Update::Removed(name) => drop(self.held.remove(&name)),
            }
        }
        sender.send(received.reply.unwrap()).await.unwrap();
        Ok(())
    }

    /// Receives until it is so.
    pub async fn until(&mut self, mut so: impl FnMut(&Self) -> bool) {
        while !so(self) {
            self.receive().await.unwrap();
        }
    }

    /// Receives until the stream ends; gives why.
    pub async fn end(&mut self) -> (Code, String) {
        loop {
            if let Err(status) = self.receive().await {
                return (status.code(), status.message().to_owned());
            }
        }
    }

    pub fn disconnect(&mut self) {
        self.stream = None;
        self.subscriber.disconnected();
    }
}
