//! The phases of an instance's life, in the order in which they happen.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::watch;
use wattle_api::{Readiness, RestartPolicy};

use crate::supervisor::backoff::Backoff;
use crate::supervisor::child::Child;
use crate::supervisor::control;
use crate::supervisor::status::{Exit, Name, Phase};
use crate::supervisor::world::World;

use super::envoy;
use super::face::Face;
use super::network::Network;
use super::proxy::Keeper;
use super::spec::Spec;
use super::{application, probe};

/// How often an instance that was never ready is tried, whatever its period: it is being waited for.
const EAGER: Duration = Duration::from_millis(200);

/// A life that is being lived.
pub(crate) struct Life {
    face: Face,
    network: Option<Network>,
    proxy: Option<Keeper>,
    application: Option<Child>,
}

impl Life {
    /// A life that has not begun; its status is on the board.
    pub(crate) fn new(world: &Rc<World>, spec: &Rc<Spec>) -> Self {
        Self {
            face: Face::new(world, spec),
            network: None,
            proxy: None,
            application: None,
        }
    }

    /// Lives until told to stop, then ends in order.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let outcome = tokio::select! {
            outcome = self.live() => Some(outcome),
            _ = stop.wait_for(|stop| *stop) => None,
        };
        if let Some(Err(error)) = &outcome {
            self.face.phase(Phase::Failed, Some(&format!("{error:#}")));
            self.face.say(format!("failed: {error:#}"));
        }
        if outcome.is_some() {
            // Finished or failed: it stays to be looked at, its proxy's counts too, until told to go.
            let _ = stop.wait_for(|stop| *stop).await;
        }
        self.end().await;
    }

    /// Dropped at any await when told to stop, so whatever was made is kept in `self` before the next one.
    async fn live(&mut self) -> anyhow::Result<()> {
        self.wait_for_dependencies().await;
        self.face.phase(Phase::Preparing, None);
        let envoy = envoy::program(&self.face.spec)?;
        let network = Network::create(&self.face.world, &self.face.spec).await?;
        self.face.change(|status| status.address = Some(network.address));
        self.face.publish(network.address, false);
        let meshed = self.face.spec.meshed();
        let keeper = meshed.then(|| Keeper::start(&self.face.world, &self.face.spec, &network, envoy));
        (self.network, self.proxy) = (Some(network), keeper);
        if let Some(proxy) = &mut self.proxy {
            self.face.phase(Phase::Preparing, Some("waiting for its proxy"));
            proxy.until_ready().await;
        }
        self.run_application().await
    }

    async fn wait_for_dependencies(&self) {
        let mut changes = self.face.world.board.watch();
        loop {
            changes.borrow_and_update();
            let Some(missing) = self.missing_dependency() else {
                return;
            };
            self.face
                .phase(Phase::Waiting, Some(&format!("waiting for {missing}")));
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn missing_dependency(&self) -> Option<&String> {
        let Face { world, spec, .. } = &self.face;
        let is_missing = |name: &&String| {
            !world
                .board
                .is_fulfilled(&Name::new(&spec.name.namespace, name.as_str()))
        };
        spec.process.spec.depends_on.iter().find(is_missing)
    }

    /// Runs the application, again and again if its policy says so.
    async fn run_application(&mut self) -> anyhow::Result<()> {
        let policy = self.face.spec.process.spec.restart_policy;
        let mut backoff = Backoff::new();
        loop {
            let begun = Instant::now();
            let exit = self.run_once().await?;
            self.face.publish_unhealthy();
            self.face
                .change(|status| (status.pid, status.exit) = (None, Some(exit)));
            if !restarts(policy, exit) {
                self.face.phase(Phase::Finished, None);
                self.face.say(format!("finished with {}", exit.code));
                return Ok(());
            }
            let wait = backoff.after(begun.elapsed());
            self.face
                .phase(Phase::BackingOff, Some(&format!("ended with {}", exit.code)));
            self.face.say(format!(
                "ended with {}, starts again in {} ms",
                exit.code,
                wait.as_millis()
            ));
            tokio::time::sleep(wait).await;
            self.face.change(|status| status.restarts += 1);
        }
    }

    async fn run_once(&mut self) -> anyhow::Result<Exit> {
        let Self {
            face,
            network,
            application,
            ..
        } = self;
        let network = network.as_ref().context("there is no network to start it in")?;
        control::refresh_names(&face.world).await;
        let child = application.insert(application::start(face, network).await?);
        face.change(|status| {
            (status.pid, status.phase, status.note) = (Some(child.id()), Phase::Starting, None)
        });
        face.world
            .applications
            .borrow_mut()
            .insert(face.spec.name.clone(), child.handle());
        let exit = tokio::select! {
            exit = child.wait() => exit.context("cannot tell how it ended")?,
            never = follow(face, network) => match never {},
        };
        *application = None;
        Ok(exit)
    }

    async fn end(mut self) {
        let face = &self.face;
        face.phase(Phase::Stopping, None);
        if let Some(child) = &mut self.application {
            // Clients hear of it before it goes; when everything goes, nobody is left to be told.
            if face.publish_unhealthy() && !face.world.closing.get() {
                control::acknowledged(&face.world).await;
            }
            let grace = face.spec.process.spec.termination_grace_period_seconds;
            let exit = child.stop(Duration::from_secs(grace.into())).await;
            face.change(|status| (status.pid, status.exit) = (None, exit.ok()));
        }
        face.world.applications.borrow_mut().remove(&face.spec.name);
        if let Some(proxy) = self.proxy {
            proxy.drain().await;
        }
        face.withdraw();
        if let Some(network) = self.network {
            network.remove(&face.world, &face.spec).await;
        }
        face.phase(Phase::Stopped, None);
        face.change(|status| status.address = None);
        face.say("stopped");
    }
}

fn restarts(policy: RestartPolicy, exit: Exit) -> bool {
    match policy {
        RestartPolicy::Always => true,
        RestartPolicy::OnFailure => !exit.is_success(),
        RestartPolicy::Never => false,
    }
}

/// Tells the mesh whether the running application is ready, for as long as it runs.
async fn follow(face: &Face, network: &Network) -> Infallible {
    let Some(readiness) = &face.spec.process.spec.readiness else {
        become_ready(face, network);
        return std::future::pending().await;
    };
    let mut failures = 0;
    let mut was_ready = false;
    loop {
        match attempt(face, network, readiness).await {
            Ok(()) => {
                (failures, was_ready) = (0, true);
                become_ready(face, network);
            }
            Err(error) => {
                failures += 1;
                if failures >= readiness.failure_threshold && face.publish_unhealthy() {
                    face.say(format!("is not ready any more: {error:#}"));
                }
                if failures >= readiness.failure_threshold || !was_ready {
                    face.phase(Phase::Starting, Some(&format!("not ready: {error:#}")));
                }
            }
        }
        let wait = if was_ready {
            readiness.period
        } else {
            readiness.period.min(EAGER)
        };
        tokio::time::sleep(wait).await;
    }
}

async fn attempt(face: &Face, network: &Network, readiness: &Readiness) -> anyhow::Result<()> {
    let attempt = probe::attempt(face, network, &readiness.probe);
    match tokio::time::timeout(readiness.timeout, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => anyhow::bail!("no answer within {} s", readiness.timeout.as_secs()),
    }
}

fn become_ready(face: &Face, network: &Network) {
    let status = face.world.board.status(&face.spec.name);
    if status.is_some_and(|status| status.phase != Phase::Ready) {
        face.say(format!("is ready at {}", network.address));
    }
    face.publish(network.address, true);
    face.phase(Phase::Ready, None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_decides_whether_an_application_starts_again() {
        let (well, badly) = (Exit { code: 0 }, Exit { code: 3 });
        for (policy, after_success, after_failure) in [
            (RestartPolicy::Always, true, true),
            (RestartPolicy::OnFailure, false, true),
            (RestartPolicy::Never, false, false),
        ] {
            assert_eq!(restarts(policy, well), after_success, "{policy:?}");
            assert_eq!(restarts(policy, badly), after_failure, "{policy:?}");
        }
    }
}
