//! Where redirected connections arrive.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use wattle_net::{ListenOptions, listen};

use super::Worker;

/// Wait after accept failed, e.g. for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// Connections of one worker at once; a further one is closed at once.
const MAX_CONNECTIONS: usize = 50_000;

/// The listening sockets of one worker.
pub(crate) struct Listeners {
    pub(crate) outbound: TcpListener,
    pub(crate) inbound: TcpListener,
}

impl Listeners {
    pub(crate) fn open(worker: &Worker) -> io::Result<Self> {
        let options = ListenOptions {
            backlog: 4096,
            ..ListenOptions::default()
        };
        let open = |side: &str, address: SocketAddr| {
            listen(address, &options).map_err(|error| {
                io::Error::new(error.kind(), format!("{side} listener on {address}: {error}"))
            })
        };
        Ok(Self {
            outbound: open("outbound", worker.settings.outbound)?,
            inbound: open("inbound", worker.settings.inbound)?,
        })
    }
}

/// Accepts until the task is dropped, serving each connection in a task of its own.
pub(crate) async fn accept<F>(
    worker: Rc<Worker>,
    listener: TcpListener,
    serve: impl Fn(Rc<Worker>, TcpStream, SocketAddr) -> F + Copy + 'static,
) where
    F: Future<Output = ()>,
{
    let open = Rc::new(());
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                if Rc::strong_count(&open) > MAX_CONNECTIONS {
                    tracing::warn!(%peer, limit = MAX_CONNECTIONS, "too many connections, closed");
                    continue;
                }
                let counted = open.clone();
                let work = worker.draining.open();
                let worker = worker.clone();
                // Made within the task: one that is handed over would have its place there twice.
                tokio::task::spawn_local(async move {
                    serve(worker, socket, peer).await;
                    drop((counted, work));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
