//! Queries over TCP: one after the other on a connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::time::timeout;

use super::{Running, Shared};
use crate::answer::{Transport, Verdict};
use crate::counters::Event;
use crate::upstream::{read_message, write_message};

/// Pause after the kernel failed to give a connection, such as for lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, mut running: Running) {
    loop {
        let accepted = select! {
            biased;
            () = running.stopped() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept DNS connections");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = shared.tcp_connections.clone().try_acquire_owned() else {
            shared.count(Event::Overloaded);
            continue;
        };
        let (shared, running) = (shared.clone(), running.clone());
        tokio::spawn(async move {
            let ended = converse(stream, &shared, running).await;
            if let Err(error) = ended {
                tracing::debug!(%error, "a DNS connection ended");
            }
            drop(permit);
        });
    }
}

async fn converse(mut stream: TcpStream, shared: &Shared, mut running: Running) -> io::Result<()> {
    let idle = shared.limits.tcp_idle;
    loop {
        let query = select! {
            biased;
            () = running.stopped() => return Ok(()),
            query = timeout(idle, read_message(&mut stream)) => query??,
        };
        let reply = match shared.judge(&query, Transport::Tcp) {
            Verdict::Drop => return Ok(()),
            Verdict::Reply(reply) | Verdict::Refuse(reply) => reply,
            Verdict::Forward => shared.forward(&query, Transport::Tcp).await,
            Verdict::Chase(chase) => shared.chase(&query, *chase, Transport::Tcp).await,
        };
        timeout(idle, write_message(&mut stream, &reply)).await??;
    }
}
