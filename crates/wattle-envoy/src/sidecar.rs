//! An Envoy beside a workload.

use crate::cluster::{Clusters, Secrets};
use crate::listener;
use crate::notes::{Notes, Output};
use crate::{Resources, Sidecar};

impl Sidecar<'_> {
    /// What this Envoy is told.
    ///
    /// Listeners: `outbound` takes what was redirected and hands it over to `outbound|IP:PORT`, one for each destination, or to
    /// `outbound|0.0.0.0:PORT` for the others on a port of which more is said than whether they may be dialled; `inbound`
    /// takes what comes to the workload. Routes: `IP:PORT|http/1` and `IP:PORT|http/2`; `BLOCK:PORT|…` for a block. Clusters: `BACKEND|http/1`,
    /// `BACKEND|http/2` and `BACKEND|tcp`, with endpoints `BACKEND`.
    pub fn encode(&self) -> Resources {
        let (mut output, mut notes) = (Output::default(), Notes::default());
        let secrets = Secrets(self.secrets.clone());
        let mut clusters = Clusters::new(&self.scene, secrets.clone());
        for destination in self.scene.seen().values() {
            listener::destination(destination, &self.scene, &mut clusters, (&mut output, &mut notes));
        }
        listener::unnamed(
            self.others,
            self.outbound_listener,
            &self.scene,
            (&mut clusters, &mut output, &mut notes),
        );
        for (port, others) in self.open {
            listener::open(
                *port,
                others,
                &self.scene,
                (&mut clusters, &mut output, &mut notes),
            );
        }
        if let Some(inbound) = self.inbound {
            listener::inbound(
                inbound,
                self.inbound_listener,
                &secrets,
                (&mut output, &mut notes),
            );
        }
        clusters.write(&mut output, &mut notes);
        output.finish(notes)
    }
}
