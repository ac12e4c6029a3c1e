//! One connection, marked or bound if asked to be.

use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr, TcpStream};

use socket2::{Domain, SockRef, Socket, Type};

use crate::world::PATIENCE;

/// `dial TARGET [MARK]`: prints what the listener says.
pub(crate) fn main(arguments: &[&str]) {
    let mark = arguments.get(1).map(|mark| mark.parse().unwrap());
    match dial(arguments[0], mark, None) {
        Ok(said) => println!("{said}"),
        Err(error) => println!("error {error}"),
    }
}

pub(crate) fn dial(target: &str, mark: Option<u32>, source: Option<&str>) -> io::Result<String> {
    let target: SocketAddr = target.parse().unwrap();
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, None)?;
    if let Some(mark) = mark {
        socket.set_mark(mark)?;
    }
    if let Some(source) = source {
        let source: IpAddr = source.parse().unwrap();
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.connect_timeout(&target.into(), PATIENCE)?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

/// Where the connection was meant to go before nftables changed it.
pub(crate) fn original_destination(stream: &TcpStream) -> SocketAddr {
    let socket = SockRef::from(stream);
    let local = stream.local_addr().unwrap();
    let found = if local.is_ipv4() {
        socket.original_dst_v4()
    } else {
        socket.original_dst_v6()
    };
    found
        .ok()
        .and_then(|address| address.as_socket())
        .unwrap_or(local)
}
