//! The control plane of the mesh: a child of its own, started again whenever it dies.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::watch;

use crate::mesh::view::{ServiceView, Status};
use crate::mesh::{ask, port};

use super::backoff::Backoff;
use super::child::{Child, Handle};
use super::entry::replace;
use super::pump::{self, Log};
use super::world::World;

/// How often services are asked for; a new one has its name after this long at most.
const SERVICES_PERIOD: Duration = Duration::from_millis(500);

/// Until a change of a file has surely been noticed and sent.
const NOTICE: Duration = Duration::from_millis(250);

/// Longest wait for acknowledgements; a control plane that is down gives none.
const ACKNOWLEDGE: Duration = Duration::from_secs(3);

/// Longest time the control plane gets to end.
const GRACE: Duration = Duration::from_secs(5);

/// How the control plane is doing, for `GET /mesh`.
#[derive(Debug, Default)]
pub(crate) struct ControlState {
    /// For signalling it.
    pub(crate) handle: Option<Rc<Handle>>,
    /// Its process id inside the mesh's namespaces.
    pub(crate) pid: Option<u32>,
    /// How often it was started again.
    pub(crate) restarts: u32,
}

/// Keeps a control plane running until told to stop.
pub(crate) async fn keep(world: Rc<World>, mut stop: watch::Receiver<bool>) {
    let mut backoff = Backoff::new();
    loop {
        let begun = Instant::now();
        let cause = match start(&world) {
            Ok(mut child) => {
                note(&world, Some(&child));
                tokio::select! {
                    exit = child.wait() => exit.map_or_else(|error| error.to_string(), |exit| format!("ended with {}", exit.code)),
                    _ = stop.wait_for(|stop| *stop) => {
                        let _ = child.stop(GRACE).await;
                        return;
                    }
                }
            }
            Err(error) => format!("could not be started: {error:#}"),
        };
        note(&world, None);
        world
            .screen
            .news(format!("the control plane {cause}; starting it again"));
        tokio::select! {
            () = tokio::time::sleep(backoff.after(begun.elapsed())) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        world.control.borrow_mut().restarts += 1;
    }
}

fn note(world: &World, child: Option<&Child>) {
    let mut control = world.control.borrow_mut();
    (control.handle, control.pid) = (child.map(Child::handle), child.map(Child::id));
}

fn start(world: &World) -> anyhow::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    let place = &world.place;
    command
        .arg("control")
        .arg("--config")
        .arg(&world.assignment.directory)
        .arg("--config")
        .arg(place.workloads())
        .arg("--listen")
        .arg(world.discovery().to_string())
        .arg("--metrics")
        .arg(SocketAddr::new(world.discovery().ip(), port::METRICS).to_string())
        .arg("--state")
        .arg(place.control())
        .arg("--admin")
        .arg(place.admin_socket())
        .args(
            world
                .assignment
                .accepted_roots
                .iter()
                .flat_map(|file| ["--accepted-roots".as_ref(), file.as_os_str()]),
        )
        // A Ctrl-C at the terminal is the supervisor's to answer.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = Child::adopt(command.spawn().context("cannot execute it")?)?;
    let log = Log::open(&place.logs().join("control.log")).context("cannot open its log")?;
    let (stdout, stderr) = child.pipes();
    stdout.map(|pipe| pump::pump(pipe, &log, None)).transpose()?;
    stderr.map(|pipe| pump::pump(pipe, &log, None)).transpose()?;
    Ok(child)
}

/// Follows what the control plane says: the names of services, and the roots that everybody trusts.
pub(crate) async fn follow(world: Rc<World>) {
    loop {
        refresh_names(&world).await;
        if let Err(error) = publish_roots(&world) {
            tracing::warn!(%error, "proxies cannot be shown the roots");
        }
        tokio::time::sleep(SERVICES_PERIOD).await;
    }
}

/// Asks for the names of services now; without an answer they stay as they are.
pub(crate) async fn refresh_names(world: &World) {
    match ask::get::<Vec<ServiceView>>(&world.place.admin_socket(), "/services").await {
        Ok(services) => world.redirect_names(|directory| directory.services = services),
        Err(error) => tracing::debug!(%error, "the control plane does not answer"),
    }
}

/// Waits until all proxies have acknowledged what was just published, or for as long as it is worth.
pub(crate) async fn acknowledged(world: &World) {
    tokio::time::sleep(NOTICE).await;
    let all = async {
        loop {
            let status = ask::get::<Status>(&world.place.admin_socket(), "/status").await;
            if status.is_ok_and(|status| status.proxies.iter().all(|proxy| proxy.synced)) {
                return;
            }
            tokio::time::sleep(NOTICE).await;
        }
    };
    let _ = tokio::time::timeout(ACKNOWLEDGE, all).await;
}

/// Shows proxies the roots, which the control plane writes to its own directory.
pub(crate) fn publish_roots(world: &World) -> anyhow::Result<()> {
    let Ok(roots) = fs::read(world.place.control().join("roots.pem")) else {
        return Ok(());
    };
    let path = world.place.roots();
    if fs::read(&path).is_ok_and(|shown| shown == roots) {
        return Ok(());
    }
    replace(&path, &roots, 0o644).with_context(|| format!("cannot write {}", path.display()))
}
