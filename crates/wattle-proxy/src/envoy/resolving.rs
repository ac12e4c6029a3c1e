//! Names for the workload beside an Envoy, which answers for none: the agent hears them and answers in its place.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};
use wattle_wire::Kind;

use crate::config::{ConfigDump, ConfigTask, Feed, Following, Held, Saved, StreamHealth};
use crate::identity::Credentials;
use crate::names::NameServer;
use crate::settings::Settings;

/// Keeps the server answering from the newest names, as long as it is polled.
///
/// Whose names they are is told by the workload's own inbound side, which is heard for that alone.
pub(super) async fn keep(
    settings: Arc<Settings>,
    server: NameServer,
    credentials: watch::Receiver<Option<Arc<Credentials>>>,
    health: Arc<StreamHealth>,
) {
    let nobody = Feed::new(Vec::new());
    let mut held = Held::new(nobody.clone(), &settings.inbound_name());
    held.want_names(settings.id.namespace());
    let saved = Saved::in_directory(&settings.state);
    saved.restore(&mut held, |kind| matches!(kind, Kind::Inbound | Kind::Names));
    // The task ends with the last of those who may ask.
    let (_asker, asks) = mpsc::channel(1);
    let (trust, _) = watch::channel(None);
    let mut task = ConfigTask {
        following: Following::start(&settings, &nobody),
        settings,
        held,
        saved,
        asks,
        credentials,
        health,
        dump: Arc::new(ArcSwap::from_pointee(ConfigDump::default())),
        save_at: None,
        names: Some(server),
        trust,
        in_force: None,
    };
    task.note();
    task.run().await;
}
