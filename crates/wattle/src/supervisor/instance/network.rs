//! An instance's network namespace, address and redirection, and starting programs in it.

use std::net::IpAddr;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::oneshot;
use wattle_capture::redirect::DNS_PORT;
use wattle_capture::{Bridge, Netns, Redirect};

use crate::supervisor::child::Child;
use crate::supervisor::world::{NameFiles, World};

use super::spec::Spec;

/// What connects an instance to the mesh.
#[derive(Debug)]
pub(super) struct Network {
    /// The instance's own namespace.
    pub(super) netns: Arc<Netns>,
    /// Its address on the bridge.
    pub(super) address: IpAddr,
    /// The files that resolve names in it.
    pub(super) names: NameFiles,
}

impl Network {
    /// Makes the namespace, connects it and, for a workload with a proxy, redirects its traffic.
    pub(super) async fn create(world: &Rc<World>, spec: &Spec) -> anyhow::Result<Self> {
        let address = world.allocate(&spec.name.to_string())?;
        let (bridge, meshed) = (Arc::clone(&world.bridge), spec.meshed());
        // Without a proxy nothing is redirected.
        let redirect = meshed.then(|| Redirect {
            dns_port: Some(DNS_PORT),
            refuse_datagrams: spec.refuses_datagrams,
            ..Redirect::default()
        });
        let netns = blocking(move || plug(&bridge, address, redirect)).await?;
        let names = world.add_names(&spec.name, address, meshed)?;
        Ok(Self {
            netns: Arc::new(netns),
            address,
            names,
        })
    }

    /// Unplugs the instance and gives its address up.
    pub(super) async fn remove(self, world: &Rc<World>, spec: &Spec) {
        let (bridge, address) = (Arc::clone(&world.bridge), self.address);
        let unplugged = blocking(move || Ok(bridge.disconnect(address)?)).await;
        if let Err(error) = unplugged {
            tracing::debug!(%error, instance = %spec.name, "its link was gone already");
        }
        world.remove_names(&spec.name);
        world.addresses.borrow_mut().release(&spec.name.to_string());
    }

    /// Starts a program inside.
    pub(super) async fn spawn(&self, command: Command) -> anyhow::Result<Child> {
        spawn(&self.netns, command).await
    }
}

fn plug(bridge: &Bridge, address: IpAddr, redirect: Option<Redirect>) -> anyhow::Result<Netns> {
    let netns = Netns::create()?;
    // Before it is connected: not one packet may pass by the proxy.
    if let Some(redirect) = redirect {
        redirect.apply(&netns)?;
    }
    bridge.connect(&netns, address)?;
    Ok(netns)
}

/// Starts a program in a namespace; if nobody waits for it any more, it is ended at once.
pub(super) async fn spawn(netns: &Arc<Netns>, mut command: Command) -> anyhow::Result<Child> {
    let (started, child) = oneshot::channel();
    let netns = Arc::clone(netns);
    tokio::task::spawn_blocking(move || {
        if let Err(Ok(mut unwanted)) = started.send(netns.spawn(&mut command)) {
            let _ = unwanted.kill();
            let _ = unwanted.wait();
        }
    });
    let child = child.await.context("starting a program was cut short")??;
    Child::adopt(child).context("cannot watch a program")
}

/// Runs work that blocks, beside the event loop.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context("work beside the event loop was cut short")?
}
