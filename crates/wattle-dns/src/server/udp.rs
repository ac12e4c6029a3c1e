//! Queries over UDP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::select;

use super::{Running, Shared};
use crate::answer::{self, Transport, Verdict};
use crate::counters::Event;
use crate::upstream::MAX_MESSAGE;

/// Pause after the kernel failed to give a datagram, so that a lasting fault does not take the whole thread.
const PAUSE: Duration = Duration::from_millis(10);

pub(super) fn listen(address: SocketAddr) -> io::Result<(SocketAddr, UdpSocket)> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    let socket = UdpSocket::from_std(socket.into())?;
    Ok((socket.local_addr()?, socket))
}

pub(super) async fn serve(socket: Arc<UdpSocket>, shared: Arc<Shared>, mut running: Running) {
    let mut buffer = vec![0; MAX_MESSAGE];
    loop {
        let received = select! {
            biased;
            () = running.stopped() => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        match received {
            Ok((length, client)) => one(&socket, &shared, &running, &buffer[..length], client).await,
            Err(error) => {
                tracing::warn!(%error, "cannot receive DNS queries");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn one(
    socket: &Arc<UdpSocket>,
    shared: &Arc<Shared>,
    running: &Running,
    query: &[u8],
    client: SocketAddr,
) {
    match shared.judge(query, Transport::Udp) {
        Verdict::Drop => {}
        Verdict::Reply(reply) | Verdict::Refuse(reply) => send(socket, &reply, client).await,
        outward => {
            let Ok(permit) = shared.udp_queries.clone().try_acquire_owned() else {
                shared.count(Event::Overloaded);
                let reply = answer::error(query, ResponseCode::ServFail);
                return send(socket, &reply, client).await;
            };
            let (socket, shared, query) = (socket.clone(), shared.clone(), query.to_vec());
            let running = running.clone();
            tokio::spawn(async move {
                let reply = match outward {
                    Verdict::Chase(chase) => shared.chase(&query, *chase, Transport::Udp).await,
                    _ => shared.forward(&query, Transport::Udp).await,
                };
                send(&socket, &reply, client).await;
                drop((permit, running));
            });
        }
    }
}

async fn send(socket: &UdpSocket, reply: &[u8], client: SocketAddr) {
    // A client that is gone is no fault of ours.
    if let Err(error) = socket.send_to(reply, client).await {
        tracing::debug!(%error, %client, "cannot send a DNS answer");
    }
}
