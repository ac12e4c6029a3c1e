//! The stream to the control plane: opened, kept, opened again; and the saved state beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;
use wattle_model::Trust;
use wattle_wire::proto::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use wattle_wire::proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node};

use super::following::{Asked, Following};
use super::in_force::InForce;
use super::{Ask, Held, Saved};
use crate::identity::{Credentials, control_channel};
use crate::names::NameServer;
use crate::settings::Settings;

/// First wait before a stream is opened again; doubles to [`MAX_BACKOFF`], with jitter.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
/// Longest wait before a stream is opened again.
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// Longest wait for the control plane to open a stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Changes are saved together after this time.
const SAVE_DELAY: Duration = Duration::from_millis(200);
/// Requests that may wait on a stream before it counts as stuck and is opened anew.
const MAX_QUEUED: usize = 8192;

/// Facts about the stream for admin and metrics.
#[derive(Debug, Default)]
pub(crate) struct StreamHealth {
    /// A stream is open.
    pub(crate) connected: AtomicBool,
    /// Seconds since 1970 of the last word from the control plane; 0 is never.
    pub(crate) last_heard_secs: AtomicU64,
    /// Resources refused since start.
    pub(crate) rejected: AtomicU64,
    /// What the workload needs to start is known: its own inbound side, and names if it asks here for them.
    pub(crate) complete: AtomicBool,
    /// Resources held.
    pub(crate) held: AtomicU64,
}

/// Everything the config side owns.
pub(crate) struct ConfigTask {
    pub(crate) settings: Arc<Settings>,
    pub(crate) held: Held,
    pub(crate) saved: Saved,
    pub(crate) asks: mpsc::Receiver<(usize, Ask)>,
    pub(crate) credentials: watch::Receiver<Option<Arc<Credentials>>>,
    pub(crate) health: Arc<StreamHealth>,
    pub(crate) dump: Arc<arc_swap::ArcSwap<ConfigDump>>,
    pub(crate) save_at: Option<Instant>,
    /// Answers for names, where the workload's queries come here.
    pub(crate) names: Option<NameServer>,
    /// What is read and resolved besides.
    pub(crate) following: Following,
    /// Tells the certificate's keeper whom to believe.
    pub(crate) trust: watch::Sender<Option<Arc<Trust>>>,
    /// Before news are acknowledged; none where they are in force at once.
    pub(crate) in_force: Option<InForce>,
}

/// What `/config` shows: name and version of each resource held, and its decoded text.
#[derive(Debug, Default)]
pub(crate) struct ConfigDump {
    pub(crate) resources: Vec<(wattle_wire::ResourceName, wattle_wire::Encoded)>,
}

/// Why one stream ended.
enum Ended {
    Stream(String),
    /// All workers are gone.
    Workers,
}

impl ConfigTask {
    /// Runs until the workers are gone.
    pub(crate) async fn run(mut self) {
        let mut backoff = MIN_BACKOFF;
        loop {
            let opened = Instant::now();
            match self.one_stream().await {
                Ended::Workers => return,
                Ended::Stream(cause) => {
                    tracing::info!(control = %self.settings.control, %cause, "discovery stream ended")
                }
            }
            self.held.subscriber.disconnected();
            self.health.connected.store(false, Ordering::Relaxed);
            backoff = if opened.elapsed() > MAX_BACKOFF {
                MIN_BACKOFF
            } else {
                (backoff * 2).min(MAX_BACKOFF)
            };
            let jitter = 0.5 + rand::random::<f64>() / 2.0;
            if self
                .idle_until(Instant::now() + backoff.mul_f64(jitter))
                .await
                .is_err()
            {
                return;
            }
        }
    }

    /// Answers workers from what is held while no stream is open; fails when they are gone.
    async fn idle_until(&mut self, until: Instant) -> Result<(), ()> {
        loop {
            let save_at = self.save_at;
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ok(()),
                () = at(save_at) => self.save().await,
                asked = self.following.next(&mut self.asks) => {
                    self.take(asked.ok_or(())?);
                }
            }
        }
    }

    async fn one_stream(&mut self) -> Ended {
        let opening = open(self.settings.clone(), self.credentials.clone());
        tokio::pin!(opening);
        let opened = loop {
            let save_at = self.save_at;
            tokio::select! {
                opened = &mut opening => break opened,
                () = at(save_at) => self.save().await,
                asked = self.following.next(&mut self.asks) => match asked {
                    Some(asked) => { self.take(asked); }
                    None => return Ended::Workers,
                }
            }
        };
        let (sender, mut responses) = match opened {
            Ok(opened) => opened,
            Err(cause) => return Ended::Stream(cause),
        };
        self.health.connected.store(true, Ordering::Relaxed);
        tracing::info!(control = %self.settings.control, "discovery stream open");
        let mut first = self.held.subscriber.connected();
        if let Some(request) = first.first_mut() {
            request.node = Some(self.node());
        }
        if send(&sender, first).is_err() {
            return Ended::Stream("too many subscriptions at once".to_owned());
        }
        self.converse(&sender, &mut responses).await
    }

    async fn converse(
        &mut self,
        sender: &mpsc::Sender<DeltaDiscoveryRequest>,
        responses: &mut Streaming<DeltaDiscoveryResponse>,
    ) -> Ended {
        loop {
            let save_at = self.save_at;
            let requests = tokio::select! {
                response = responses.message() => match response {
                    Ok(Some(response)) => {
                        let requests = self.heard(response);
                        let trust = self.trust.borrow().clone();
                        if let (Some(in_force), Some(trust)) = (&mut self.in_force, trust) {
                            in_force.reached(&trust).await;
                        }
                        requests
                    }
                    Ok(None) => return Ended::Stream("closed by the control plane".to_owned()),
                    Err(status) => return Ended::Stream(status.to_string()),
                },
                () = at(save_at) => { self.save().await; Vec::new() }
                asked = self.following.next(&mut self.asks) => match asked {
                    Some(asked) => self.take(asked),
                    None => return Ended::Workers,
                },
            };
            if send(sender, requests).is_err() {
                return Ended::Stream("the control plane does not read".to_owned());
            }
        }
    }

    fn take(&mut self, asked: Asked) -> Vec<DeltaDiscoveryRequest> {
        match asked {
            Asked::Worker(worker, ask) => self.held.asked(worker, ask),
            Asked::Resolved(change) => {
                if let Some(error) = &change.failure {
                    tracing::info!(host = change.host, %error, kept = change.addresses.len(), "name not resolved");
                }
                self.held.resolved(&change.host, change.addresses);
                Vec::new()
            }
        }
    }

    fn heard(&mut self, response: DeltaDiscoveryResponse) -> Vec<DeltaDiscoveryRequest> {
        let now = self.settings.clock.unix_secs();
        self.health.last_heard_secs.store(now, Ordering::Relaxed);
        let received = self.held.subscriber.response(response);
        for rejected in &received.rejected {
            self.health.rejected.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                resource = rejected.name,
                problem = rejected.problem,
                "resource refused, the last good one stays in force"
            );
        }
        let mut requests = Vec::new();
        for update in received.updates {
            requests.extend(self.held.apply(update));
        }
        self.note();
        self.save_at.get_or_insert(Instant::now() + SAVE_DELAY);
        // The ack goes last: what it acknowledges is in force by then.
        requests.extend(received.reply);
        requests
    }

    /// Publishes facts about what is held.
    pub(crate) fn note(&mut self) {
        self.following.follow(&mut self.held);
        self.trust.send_if_modified(|told| {
            let changed = told.as_ref() != self.held.trust();
            *told = self.held.trust().cloned();
            changed
        });
        self.health
            .complete
            .store(self.held.is_complete(), Ordering::Relaxed);
        if let (Some(server), Some(names)) = (&mut self.names, self.held.names()) {
            server.show(names, &self.held.caller());
        }
        self.health
            .held
            .store(self.held.encoded().len() as u64, Ordering::Relaxed);
        let resources = self
            .held
            .encoded()
            .iter()
            .map(|(name, encoded)| (name.clone(), encoded.clone()))
            .collect();
        self.dump.store(Arc::new(ConfigDump { resources }));
    }

    async fn save(&mut self) {
        self.save_at = None;
        let saved = self.saved.clone();
        let dump = self.dump.load_full();
        let written = tokio::task::spawn_blocking(move || {
            saved.write(dump.resources.iter().map(|(name, encoded)| (name, encoded)))
        });
        if let Ok(Err(error)) = written.await {
            tracing::warn!(%error, state = %self.settings.state.display(), "config could not be saved");
        }
    }

    fn node(&self) -> Node {
        Node {
            id: self.settings.inbound_name(),
            user_agent_name: "wattle".to_owned(),
            user_agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Node::default()
        }
    }
}

type Opened = (
    mpsc::Sender<DeltaDiscoveryRequest>,
    Streaming<DeltaDiscoveryResponse>,
);

/// Waits for a certificate, connects and opens the stream.
async fn open(
    settings: Arc<Settings>,
    mut credentials: watch::Receiver<Option<Arc<Credentials>>>,
) -> Result<Opened, String> {
    let current = match credentials.wait_for(Option::is_some).await {
        Ok(current) => current.clone(),
        Err(_) => return Err("no certificate will come".to_owned()),
    };
    let Some(current) = current else {
        return Err("no certificate".to_owned());
    };
    let tls = current
        .control_client(&settings.control_id)
        .map_err(|error| error.to_string())?;
    let channel: Channel = control_channel(&settings, tls).await?;
    let (sender, receiver) = mpsc::channel(MAX_QUEUED);
    let mut client =
        AggregatedDiscoveryServiceClient::new(channel).max_decoding_message_size(64 * 1024 * 1024);
    let opening = client.delta_aggregated_resources(ReceiverStream::new(receiver));
    let response = tokio::time::timeout(OPEN_TIMEOUT, opening)
        .await
        .map_err(|_| "the control plane does not answer".to_owned())?;
    Ok((
        sender,
        response.map_err(|status| status.to_string())?.into_inner(),
    ))
}

fn send(
    sender: &mpsc::Sender<DeltaDiscoveryRequest>,
    requests: Vec<DeltaDiscoveryRequest>,
) -> Result<(), ()> {
    requests
        .into_iter()
        .try_for_each(|request| sender.try_send(request).map_err(|_| ()))
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
