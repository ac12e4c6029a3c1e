//! What the admin API asks about Envoys and gRPC programs.

use std::sync::Arc;
use std::time::Instant;

use wattle_envoy::{Gap, Kind};

use super::Clients;
use super::client::Client;
use crate::hub::report::{proxy_status, resource_status};
use crate::view::{ProxyStatus, ResourceStatus};

impl Clients {
    /// How each of them stands.
    pub(in crate::hub) fn statuses(
        &self,
        ready: bool,
        now: Instant,
    ) -> impl Iterator<Item = ProxyStatus> + '_ {
        self.all.values().map(move |client| {
            let wanted = client.session.wanted(&client.resources);
            let resources = wanted.map(|(kind, name, version)| client.resource(kind, name, version, now));
            let gaps = client.resources.gaps.iter().map(sentence).collect();
            proxy_status(&client.guest, resources.collect(), gaps, (ready, now))
        })
    }
}

impl Client {
    fn resource(
        &self,
        kind: Kind,
        name: &Arc<str>,
        newest: Option<&Arc<str>>,
        now: Instant,
    ) -> ResourceStatus {
        let entry = self.ledger.entry(&(kind, name.clone()));
        resource_status((word(kind), name), newest.cloned(), entry, now)
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Cluster => "Cluster",
        Kind::Endpoints => "ClusterLoadAssignment",
        Kind::Listener => "Listener",
        Kind::Route => "RouteConfiguration",
    }
}

fn sentence(gap: &Gap) -> String {
    match &gap.origin {
        Some(origin) => format!("{origin}: {}: {}", gap.place, gap.reason),
        None => format!("{}: {}", gap.place, gap.reason),
    }
}
