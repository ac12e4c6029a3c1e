//! Where redirected connections arrive.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use wattle_net::{ListenOptions, listen};
use wattle_telemetry::{Family, Kind, Labels};

use super::Worker;

/// Wait after accept failed, e.g. for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// Connections of one worker and side at once; a further one is closed at once.
const MAX_CONNECTIONS: usize = 50_000;

/// Connections for which there was no room.
static CROWDED: Family = Family {
    name: "wattle_connections_refused_total",
    help: "Connections that were closed at once because as many as a worker takes were open, by side.",
    kind: Kind::Counter,
    hides_idle: false,
};

/// The listening sockets of one worker.
pub(crate) struct Listeners {
    pub(crate) outbound: Door,
    pub(crate) inbound: Door,
}

/// Where connections of one side come in.
pub(crate) struct Door {
    listener: TcpListener,
    side: &'static str,
    /// Most that are open at once.
    most: usize,
}

impl Listeners {
    pub(crate) fn open(worker: &Worker) -> io::Result<Self> {
        let options = ListenOptions {
            backlog: 4096,
            ..ListenOptions::default()
        };
        let open = |side, address: SocketAddr| match listen(address, &options) {
            Ok(listener) => Ok(Door {
                listener,
                side,
                most: MAX_CONNECTIONS,
            }),
            Err(error) => Err(io::Error::new(
                error.kind(),
                format!("{side} listener on {address}: {error}"),
            )),
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
    door: Door,
    serve: impl Fn(Rc<Worker>, TcpStream, SocketAddr) -> F + Copy + 'static,
) where
    F: Future<Output = ()>,
{
    let open = Rc::new(());
    loop {
        match door.listener.accept().await {
            Ok((socket, peer)) => {
                if Rc::strong_count(&open) > door.most {
                    tracing::warn!(%peer, side = door.side, limit = door.most, "too many connections, closed");
                    worker
                        .shard
                        .counter(&CROWDED, &Labels::new(&[("side", door.side)]))
                        .increment();
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::LocalSet;
    use wattle_telemetry::text;

    use super::*;
    use crate::tests::counted_worker;

    /// Says everything back.
    async fn echo(_: Rc<Worker>, socket: TcpStream, _: SocketAddr) {
        let (mut reader, mut writer) = socket.into_split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    }

    async fn speaks(socket: &mut TcpStream) -> bool {
        // A connection that was closed may take the bytes, and never says them back.
        socket.write_all(b"x").await.is_ok() && socket.read_u8().await.is_ok()
    }

    #[tokio::test]
    async fn a_connection_beyond_the_bound_is_closed_and_counted_and_the_others_go_on() {
        let (worker, registry) = counted_worker();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let door = Door {
            listener,
            side: "inbound",
            most: 2,
        };
        let connect = async || TcpStream::connect(address).await.unwrap();
        let run = async {
            let accepting = tokio::task::spawn_local(accept(worker, door, echo));
            let (mut first, mut second) = (connect().await, connect().await);
            assert!(speaks(&mut first).await && speaks(&mut second).await);
            for _ in 0..3 {
                assert!(!speaks(&mut connect().await).await);
            }
            let counted = "wattle_connections_refused_total{side=\"inbound\"} 3\n";
            assert!(text(&registry).contains(counted), "{}", text(&registry));
            assert!(speaks(&mut first).await);
            drop(second);
            // Its end is seen with one of the next turns.
            while !speaks(&mut connect().await).await {}
            accepting.abort();
        };
        let local = LocalSet::new();
        tokio::time::timeout(Duration::from_secs(20), local.run_until(run))
            .await
            .expect("the end of a connection makes room");
    }
}
