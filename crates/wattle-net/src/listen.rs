use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::connect::Keepalive;

/// How a listening socket is made.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Lets every worker bind the same address and have its own queue (SO_REUSEPORT). Default true.
    pub reuse_port: bool,
    /// Connections the kernel queues before `accept`; the kernel cuts it to `somaxconn`. Default 1024.
    pub backlog: i32,
    /// Refuses IPv4 on an IPv6 socket. Default false: `[::]` serves both.
    pub v6_only: bool,
    /// Accepts connections to addresses this host does not have (IP_TRANSPARENT, needs
    /// CAP_NET_ADMIN). Default false.
    pub transparent: bool,
    /// When the kernel probes whether a silent peer lives. Default: see [`Keepalive`].
    pub keepalive: Option<Keepalive>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            reuse_port: true,
            backlog: 1024,
            v6_only: false,
            transparent: false,
            keepalive: Some(Keepalive::default()),
        }
    }
}

/// Listens on a TCP address; must be called within a tokio runtime.
///
/// What accepted connections need is set here, once for all of them: they inherit no delay and the probes.
///
/// # Errors
/// What the kernel says: address in use, not available, or a missing privilege.
pub fn listen(address: SocketAddr, options: &ListenOptions) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    // A restarted proxy must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(options.reuse_port)?;
    if address.is_ipv6() {
        socket.set_only_v6(options.v6_only)?;
    }
    if options.transparent {
        set_transparent(&socket, address)?;
    }
    socket.set_tcp_nodelay(true)?;
    if let Some(keepalive) = options.keepalive {
        socket.set_tcp_keepalive(&keepalive.probes())?;
    }
    socket.bind(&address.into())?;
    socket.listen(options.backlog)?;
    TcpListener::from_std(socket.into())
}

fn set_transparent(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv4() {
        return socket.set_ip_transparent_v4(true);
    }
    socket.set_ip_transparent_v6(true)
}

/// Takes over a listening socket inherited from a predecessor; must be called within a tokio runtime.
///
/// # Errors
/// When the descriptor is not a listening stream socket.
pub fn listen_from_fd(inherited: OwnedFd) -> io::Result<TcpListener> {
    let socket = Socket::from(inherited);
    if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "inherited descriptor is not a listening stream socket",
        ));
    }
    socket.set_nonblocking(true)?;
    socket.set_cloexec(true)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use socket2::SockRef;

    use super::*;

    fn loopback() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[tokio::test]
    async fn two_workers_share_a_port_only_with_reuse_port() {
        let first = listen(loopback(), &ListenOptions::default()).unwrap();
        let address = first.local_addr().unwrap();
        listen(address, &ListenOptions::default()).unwrap();
        let alone = ListenOptions {
            reuse_port: false,
            ..ListenOptions::default()
        };
        let refused = listen(address, &alone).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn accepted_connections_have_no_delay_and_are_probed() {
        let keepalive = Keepalive {
            time: Duration::from_secs(7),
            interval: Some(Duration::from_secs(3)),
            retries: Some(2),
        };
        let options = ListenOptions {
            keepalive: Some(keepalive),
            ..ListenOptions::default()
        };
        let listener = listen(loopback(), &options).unwrap();
        let address = listener.local_addr().unwrap();
        let (dialled, accepted) = tokio::join!(tokio::net::TcpStream::connect(address), listener.accept());
        let (_dialled, (accepted, _)) = (dialled.unwrap(), accepted.unwrap());
        assert!(accepted.nodelay().unwrap());
        let socket = SockRef::from(&accepted);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(7));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(3));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 2);
    }

    #[tokio::test]
    async fn an_inherited_listener_goes_on_accepting() {
        let first = listen(loopback(), &ListenOptions::default()).unwrap();
        let address = first.local_addr().unwrap();
        let inherited = OwnedFd::from(first.into_std().unwrap());
        let second = listen_from_fd(inherited).unwrap();
        let (dialled, accepted) = tokio::join!(tokio::net::TcpStream::connect(address), second.accept());
        assert_eq!(dialled.unwrap().local_addr().unwrap(), accepted.unwrap().1);
    }

    #[tokio::test]
    async fn a_descriptor_that_does_not_listen_is_refused() {
        let udp = std::net::UdpSocket::bind(loopback()).unwrap();
        let refused = listen_from_fd(OwnedFd::from(udp)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }
}
