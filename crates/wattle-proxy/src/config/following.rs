//! What the main thread reads and resolves because of what is held: names of endpoints, files of TLS policies.

use std::collections::BTreeSet;

use tokio::sync::{mpsc, watch};
use wattle_dns::{Change, MAX_WATCHED, Outward, Resolver, Watch};
use wattle_model::traffic::TlsFiles;

use super::{Ask, Feed, Held, keep_read};
use crate::settings::Settings;

/// What comes to the config side besides the discovery stream.
pub(super) enum Asked {
    /// A worker's question.
    Worker(usize, Ask),
    /// A name's addresses changed, or it fails.
    Resolved(Change),
}

/// The watches, and what they watch now.
pub(crate) struct Following {
    watch: Watch,
    changes: mpsc::Receiver<Change>,
    names: BTreeSet<String>,
    files: watch::Sender<Vec<TlsFiles>>,
}

impl Following {
    /// Follows nothing yet; must be called within a runtime for local tasks.
    pub(crate) fn start(settings: &Settings, feed: &Feed) -> Self {
        let resolvers = crate::names::resolvers();
        let outward = Outward { mark: settings.mark };
        let (watch, changes) = Watch::start(Resolver::over(&resolvers.resolvers, outward));
        let (files, wanted) = watch::channel(Vec::new());
        tokio::task::spawn_local(keep_read(feed.clone(), wanted));
        Self {
            watch,
            changes,
            names: BTreeSet::new(),
            files,
        }
    }

    /// The next question or change; `None` when the workers are gone.
    pub(super) async fn next(&mut self, asks: &mut mpsc::Receiver<(usize, Ask)>) -> Option<Asked> {
        tokio::select! {
            asked = asks.recv() => asked.map(|(worker, ask)| Asked::Worker(worker, ask)),
            Some(change) = self.changes.recv() => Some(Asked::Resolved(change)),
        }
    }

    /// Follows what is held now.
    pub(super) fn follow(&mut self, held: &mut Held) {
        let files = held.wanted_files();
        self.files.send_if_modified(|wanted| {
            let changed = *wanted != files;
            *wanted = files;
            changed
        });
        let mut names = held.wanted_names();
        if names == self.names {
            return;
        }
        self.names.clone_from(&names);
        if let Some(first_beyond) = names.iter().nth(MAX_WATCHED).cloned() {
            for host in names.split_off(&first_beyond) {
                tracing::warn!(
                    host,
                    limit = MAX_WATCHED,
                    "too many names of endpoints: not resolved"
                );
                held.resolved(&host, Vec::new());
            }
        }
        if let Err(error) = self.watch.set(names) {
            tracing::warn!(%error, "names of endpoints are resolved as before");
        }
    }
}
