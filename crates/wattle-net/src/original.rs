use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::SockRef;
use tokio::net::TcpStream;

/// The address that the client, `peer`, dialled before netfilter redirected the connection (SO_ORIGINAL_DST).
///
/// `None` when the connection is not in this namespace's connection tracking, or the kernel has no
/// connection tracking: it was not redirected. A tracked connection that was dialled directly gives
/// its own local address, so the caller compares with the listener to tell the two apart. An
/// IPv4 client of an IPv6 socket gives an IPv4 address.
///
/// # Errors
/// When the socket itself is broken, such as already closed by the peer.
pub fn original_destination(stream: &TcpStream, peer: SocketAddr) -> io::Result<Option<SocketAddr>> {
    let socket = SockRef::from(stream);
    let asked = match peer.ip().to_canonical() {
        IpAddr::V4(_) => socket.original_dst_v4(),
        IpAddr::V6(_) => socket.original_dst_v6(),
    };
    match asked {
        Ok(address) => Ok(address.as_socket()),
        Err(error) if is_untracked(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_untracked(error: &io::Error) -> bool {
    let untracked = [
        rustix::io::Errno::NOENT,
        rustix::io::Errno::NOPROTOOPT,
        rustix::io::Errno::OPNOTSUPP,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| untracked.iter().any(|errno| errno.raw_os_error() == code))
}
