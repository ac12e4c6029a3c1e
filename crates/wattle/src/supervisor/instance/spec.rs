//! What an instance is started from.

use std::path::PathBuf;
use std::rc::Rc;

use wattle_api::{Process, Resource};
use wattle_capture::exec::RunAs;

use crate::supervisor::names::Target;
use crate::supervisor::status::{Name, Phase, Status};
use crate::supervisor::wanted::is_meshed;
use crate::supervisor::world::World;

/// An instance to be.
#[derive(Debug)]
pub(crate) struct Spec {
    /// Namespace and name of the instance.
    pub(crate) name: Name,
    /// The process it is a copy of.
    pub(crate) process: Rc<Resource<Process>>,
    /// Whether it is to send and take no datagrams.
    pub(crate) refuses_datagrams: bool,
}

impl Spec {
    /// Whether it has a proxy.
    pub(crate) fn meshed(&self) -> bool {
        is_meshed(&self.process)
    }

    /// Where what it prints goes.
    pub(super) fn log(&self, world: &World) -> PathBuf {
        self.log_named(world, "log")
    }

    /// Where what its proxy says about itself goes.
    pub(super) fn proxy_log(&self, world: &World) -> PathBuf {
        self.log_named(world, "proxy.log")
    }

    /// Where what its proxy says about requests goes.
    pub(super) fn access_log(&self, world: &World) -> PathBuf {
        self.log_named(world, "access.log")
    }

    fn log_named(&self, world: &World, extension: &str) -> PathBuf {
        world
            .place
            .logs()
            .join(format!("{}.{extension}", self.name.stem()))
    }

    /// The user it runs as.
    pub(super) fn run_as(&self) -> Option<RunAs> {
        self.process
            .spec
            .run_as_user
            .map(|user| RunAs { uid: user, gid: user })
    }

    /// How it is before anything was done.
    pub(crate) fn status(&self, world: &World) -> Status {
        Status {
            namespace: self.name.namespace.clone(),
            process: self.process.meta.name.to_string(),
            instance: self.name.name.clone(),
            phase: Phase::Waiting,
            pid: None,
            restarts: 0,
            exit: None,
            address: None,
            proxy: self.meshed().then(Default::default),
            log: self.log(world),
            proxy_log: self.meshed().then(|| self.proxy_log(world)),
            note: None,
        }
    }

    /// Where names of services may lead, while it is ready.
    pub(crate) fn target(&self, status: &Status) -> Option<Target> {
        let address = status.address.filter(|_| status.phase == Phase::Ready)?;
        let labels = self.process.meta.labels.clone();
        Some(Target {
            namespace: self.name.namespace.clone(),
            labels,
            address,
        })
    }
}
