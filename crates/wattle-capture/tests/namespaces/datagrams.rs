//! Datagrams where a workload refuses them.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use socket2::Type;
use wattle_capture::Redirect;
use wattle_capture::redirect::DNS_PORT;

use crate::dns::{OTHER_SAYS, PROXY_SAYS, ask, resolver};
use crate::world::{MARK, PATIENCE, Pod, World};

const PORT: u16 = 8080;

fn socket(pod: &Pod, address: SocketAddr) -> UdpSocket {
    let socket = pod.netns.enter(|| UdpSocket::bind(address)).unwrap().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Says hello from a port of its own; what the kernel tells the sender, who waits for an answer.
fn hello(from: &Pod, to: SocketAddr) -> Option<ErrorKind> {
    let any = SocketAddr::new(
        if to.is_ipv4() {
            [0; 4].into()
        } else {
            [0; 16].into()
        },
        0,
    );
    let socket = socket(from, any);
    socket.connect(to).unwrap();
    let sent = socket.send(b"hello").and_then(|_| socket.recv(&mut [0; 8]));
    sent.err().map(|error| error.kind())
}

/// Answers whoever says something.
fn echo(pod: &Pod, address: SocketAddr) {
    let socket = socket(pod, address);
    socket.set_read_timeout(None).unwrap();
    std::thread::spawn(move || {
        loop {
            let (_, client) = socket.recv_from(&mut [0; 8]).unwrap();
            socket.send_to(b"hello", client).unwrap();
        }
    });
}

fn refuse(pod: &Pod) {
    let redirect = Redirect {
        dns_port: Some(DNS_PORT),
        refuse_datagrams: true,
        ..Redirect::default()
    };
    redirect.apply(&pod.netns).unwrap();
}

pub(crate) fn refused_on_both_ways(world: &World) {
    let (pod, other) = (world.pod(2), world.redirected_pod(3));
    for pod in [&pod, &other] {
        echo(pod, pod.at(PORT));
    }
    assert_eq!(hello(&pod, other.at(PORT)), None);
    assert_eq!(hello(&other, pod.at(PORT)), None);
    refuse(&pod);
    // At once, or this would be a timeout.
    let refused = [ErrorKind::PermissionDenied, ErrorKind::ConnectionRefused];
    for (from, to) in [(&pod, &other), (&other, &pod)] {
        let told = hello(from, to.at(PORT));
        assert!(told.is_some_and(|told| refused.contains(&told)), "{told:?}");
    }
    Redirect::default().apply(&pod.netns).unwrap();
    assert_eq!(hello(&pod, other.at(PORT)), None);
}

pub(crate) fn loopback_names_and_the_proxys_own_pass(world: &World) {
    let (pod, other) = (world.pod(2), world.pod(3));
    let loopback: IpAddr = match pod.address {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    refuse(&pod);
    for own in [loopback, pod.address] {
        echo(&pod, (own, PORT).into());
        assert_eq!(hello(&pod, (own, PORT).into()), None, "{own}");
    }
    resolver(&pod, (loopback, DNS_PORT).into(), PROXY_SAYS);
    resolver(&other, other.at(53), OTHER_SAYS);
    for kind in [Type::DGRAM, Type::STREAM] {
        assert_eq!(ask(&pod, other.at(53), kind, None), Some(PROXY_SAYS));
        assert_eq!(ask(&pod, other.at(53), kind, Some(MARK)), Some(OTHER_SAYS));
    }
    pod.listen(&SocketAddr::new(loopback, 15001).to_string(), "outbound");
    assert!(pod.call(other.at(PORT)).unwrap().starts_with("outbound "));
}
