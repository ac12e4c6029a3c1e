//! The supervisor's socket: JSON over HTTP/1.1, for the commands and for scripts.
//!
//! | request | answer |
//! |---|---|
//! | `GET /mesh` | [`MeshView`] |
//! | `GET /processes` | list of [`Status`] |
//! | `GET /stats` | what all proxies have counted, `wattle_telemetry::Snapshot` |
//! | `GET /refusals` | what all proxies refused last, list of `wattle_telemetry::Refusal` |
//! | `POST /processes/NAMESPACE/NAME/{stop,start,restart}` | names of the instances meant |
//! | `POST /processes/NAMESPACE/NAME/{kill,kill-proxy}` | likewise; SIGKILL to the application or the proxy |
//! | `POST /control/kill` | SIGKILL to the control plane |
//! | `POST /drain` | the mesh ends in order |
//!
//! NAME is an instance, or a process and so all its instances.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::rc::Rc;

use anyhow::Context as _;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc};
use wattle_http::{Body, Drain, Handler, Limits, Request, Response, h1};

use super::child::Handle;
use super::crew::Order;
use super::scrape;
use super::status::{Name, Status};
use super::world::World;

/// Connections at a time; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 64;

/// The mesh as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MeshView {
    /// Name.
    pub(crate) name: String,
    /// The manifests.
    pub(crate) directory: String,
    /// Version of the program.
    pub(crate) version: String,
    /// The control plane's process id inside the mesh's namespaces; none while it is down.
    pub(crate) control_pid: Option<u32>,
    /// How often the control plane was started again.
    pub(crate) control_restarts: u32,
    /// Where proxies find the control plane.
    pub(crate) discovery: String,
}

/// Starts answering.
pub(crate) fn serve(world: &Rc<World>, orders: mpsc::Sender<Order>) -> anyhow::Result<()> {
    let path = world.place.supervisor_socket();
    let listener =
        UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
    // Whoever can connect can stop processes.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
        .with_context(|| format!("cannot protect {}", path.display()))?;
    let answers = Rc::new(Answers {
        world: Rc::clone(world),
        orders,
    });
    tokio::task::spawn_local(accept(listener, answers));
    Ok(())
}

async fn accept(listener: UnixListener, answers: Rc<Answers>) {
    let (slots, limits) = (
        Rc::new(Semaphore::new(MAX_CONNECTIONS)),
        Rc::new(Limits::default()),
    );
    loop {
        let Ok(()) = slots.acquire().await.map(|slot| slot.forget()) else {
            return;
        };
        let (slots, answers, limits) = (Rc::clone(&slots), Rc::clone(&answers), Rc::clone(&limits));
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::task::spawn_local(async move {
                let served = h1::serve(stream, bytes::Bytes::new(), answers, limits, Drain::never()).await;
                if let Err(error) = served {
                    tracing::debug!(%error, "a connection to the supervisor broke off");
                }
                slots.add_permits(1);
            })),
            Err(error) => {
                tracing::warn!(%error, "a connection to the supervisor was not accepted");
                slots.add_permits(1);
                // Out of descriptors, most likely: some come back in a moment.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

struct Answers {
    world: Rc<World>,
    orders: mpsc::Sender<Order>,
}

impl Handler for Answers {
    async fn handle(&self, request: Box<Request>) -> Response {
        let path = request.head.path_and_query.to_string();
        let words: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (&request.head.method, words.as_slice()) {
            (&Method::GET, ["mesh"]) => answer(StatusCode::OK, &self.mesh()),
            (&Method::GET, ["processes"]) => answer(StatusCode::OK, &self.statuses()),
            (&Method::GET, ["stats"]) => answer(StatusCode::OK, &scrape::all(&self.world).await),
            (&Method::GET, ["refusals"]) => answer(StatusCode::OK, &scrape::refusals(&self.world).await),
            (&Method::POST, ["processes", namespace, name, verb]) => self.act(namespace, name, verb).await,
            (&Method::POST, ["control", "kill"]) => self.kill_control(),
            (&Method::POST, ["drain"]) => self.order(Order::Drain, &[]).await,
            _ => refuse(StatusCode::NOT_FOUND, "there is nothing of this name to ask for"),
        }
    }
}

impl Answers {
    fn mesh(&self) -> MeshView {
        let control = self.world.control.borrow();
        MeshView {
            name: self.world.assignment.name.clone(),
            directory: self.world.assignment.directory.display().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            control_pid: control.pid,
            control_restarts: control.restarts,
            discovery: self.world.discovery().to_string(),
        }
    }

    fn statuses(&self) -> Vec<Status> {
        self.world.board.all().values().cloned().collect()
    }

    /// The instances that a name means.
    fn meant(&self, namespace: &str, name: &str) -> Vec<Name> {
        let board = self.world.board.all();
        let is_meant = |status: &&Status| {
            status.namespace == namespace && (status.instance == name || status.process == name)
        };
        board.values().filter(is_meant).map(Status::name).collect()
    }

    async fn act(&self, namespace: &str, name: &str, verb: &str) -> Response {
        let names = self.meant(namespace, name);
        if names.is_empty() {
            return refuse(
                StatusCode::NOT_FOUND,
                &format!("there is no process {namespace}/{name}"),
            );
        }
        match verb {
            "stop" => self.order(Order::Stop(names.clone()), &names).await,
            "start" => self.order(Order::Start(names.clone()), &names).await,
            "restart" => self.order(Order::Restart(names.clone()), &names).await,
            "kill" => kill(&self.world.applications.borrow(), &names),
            "kill-proxy" => kill(&self.world.proxies.borrow(), &names),
            _ => refuse(
                StatusCode::NOT_FOUND,
                "expected stop, start, restart, kill or kill-proxy",
            ),
        }
    }

    async fn order(&self, order: Order, names: &[Name]) -> Response {
        match self.orders.send(order).await {
            Ok(()) => answer(StatusCode::ACCEPTED, &names),
            Err(_) => refuse(StatusCode::SERVICE_UNAVAILABLE, "the mesh is ending"),
        }
    }

    fn kill_control(&self) -> Response {
        match &self.world.control.borrow().handle {
            Some(handle) => {
                handle.signal(Signal::KILL);
                answer(StatusCode::OK, &json!({}))
            }
            None => refuse(StatusCode::CONFLICT, "the control plane is not running"),
        }
    }
}

fn kill(running: &BTreeMap<Name, Rc<Handle>>, names: &[Name]) -> Response {
    let hit: Vec<&Name> = names.iter().filter(|name| running.contains_key(*name)).collect();
    for name in &hit {
        running[*name].signal(Signal::KILL);
    }
    answer(StatusCode::OK, &hit)
}

fn answer(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let mut response = Response::new(status, Body::full(body));
            response
                .head
                .headers
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            Response::new(StatusCode::INTERNAL_SERVER_ERROR, Body::Empty)
        }
    }
}

fn refuse(status: StatusCode, sentence: &str) -> Response {
    answer(status, &json!({ "error": sentence }))
}
