//! Where questions for names go.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use socket2::{Domain, Socket, Type};
use wattle_capture::Redirect;
use wattle_capture::redirect::DNS_PORT;

use crate::programs;
use crate::world::{MARK, PATIENCE, Pod, World};

/// What the proxy says every name is.
pub(crate) const PROXY_SAYS: Ipv4Addr = Ipv4Addr::new(240, 240, 0, 1);
/// What the resolver elsewhere says every name is.
pub(crate) const OTHER_SAYS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// A query for the address of `cart.example.com`, numbered 7, recursion desired.
const QUERY: &[u8] =
    b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04cart\x07example\x03com\x00\x00\x01\x00\x01";

fn capture_names(pod: &Pod) {
    let redirect = Redirect {
        dns_port: Some(DNS_PORT),
        ..Redirect::default()
    };
    redirect.apply(&pod.netns).unwrap();
}

/// A resolver that knows one address, over UDP and TCP.
pub(crate) fn resolver(pod: &Pod, address: SocketAddr, says: Ipv4Addr) {
    let udp = pod.netns.enter(|| UdpSocket::bind(address)).unwrap().unwrap();
    let tcp = pod.netns.enter(|| TcpListener::bind(address)).unwrap().unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        loop {
            let (length, client) = udp.recv_from(&mut query).unwrap();
            udp.send_to(&answer(&query[..length], says), client).unwrap();
        }
    });
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            let mut stream = stream.unwrap();
            while let Some(query) = read(&mut stream) {
                write(&mut stream, &answer(&query, says));
            }
        }
    });
}

fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

fn write(stream: &mut TcpStream, message: &[u8]) {
    let length = u16::try_from(message.len()).unwrap();
    let framed = [&length.to_be_bytes()[..], message].concat();
    let _ = stream.write_all(&framed);
}

/// The question again, and for an A question the address.
fn answer(query: &[u8], says: Ipv4Addr) -> Vec<u8> {
    let mut end = 12;
    while query[end] != 0 {
        end += usize::from(query[end]) + 1;
    }
    end += 5;
    let is_a = query[end - 4..end - 2] == [0, 1];
    let mut answer = query[..end].to_vec();
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, is_a.into(), 0, 0, 0, 0]);
    if is_a {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4]);
        answer.extend(says.octets());
    }
    answer
}

/// What is said to a question that leaves `pod` for `target`; the last four bytes are the address.
pub(crate) fn ask(pod: &Pod, target: SocketAddr, kind: Type, mark: Option<u32>) -> Option<Ipv4Addr> {
    let socket = pod
        .netns
        .enter(|| {
            let socket = Socket::new(Domain::for_address(target), kind, None)?;
            if let Some(mark) = mark {
                socket.set_mark(mark)?;
            }
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.connect(&target.into())?;
            Ok::<_, std::io::Error>(socket)
        })
        .unwrap()
        .ok()?;
    let said = if kind == Type::STREAM {
        let mut stream = TcpStream::from(socket);
        write(&mut stream, QUERY);
        read(&mut stream)?
    } else {
        let socket = UdpSocket::from(socket);
        let mut said = [0; 512];
        socket.send(QUERY).ok()?;
        let length = socket.recv(&mut said).ok()?;
        said[..length].to_vec()
    };
    said.last_chunk::<4>().copied().map(Ipv4Addr::from)
}

fn proxy(pod: &Pod, loopback: impl Into<IpAddr>) {
    resolver(pod, SocketAddr::new(loopback.into(), DNS_PORT), PROXY_SAYS);
}

pub(crate) fn questions_are_redirected() {
    let world = World::new();
    let (pod, other) = (world.pod(2), world.pod(3));
    capture_names(&pod);
    proxy(&pod, Ipv4Addr::LOCALHOST);
    resolver(&other, other.at(53), OTHER_SAYS);
    let elsewhere: SocketAddr = "10.96.0.10:53".parse().unwrap();
    let own: SocketAddr = "127.0.0.53:53".parse().unwrap();
    for kind in [Type::DGRAM, Type::STREAM] {
        for target in [other.at(53), elsewhere, own] {
            assert_eq!(
                ask(&pod, target, kind, None),
                Some(PROXY_SAYS),
                "{target} {kind:?}"
            );
        }
        assert_eq!(
            ask(&pod, other.at(53), kind, Some(MARK)),
            Some(OTHER_SAYS),
            "{kind:?}"
        );
    }
    // The workload's own server of names is what others reach at port 53, not the proxy.
    resolver(&pod, "0.0.0.0:53".parse().unwrap(), OTHER_SAYS);
    assert_eq!(ask(&other, pod.at(53), Type::DGRAM, None), Some(OTHER_SAYS));
}

pub(crate) fn questions_are_redirected_on_ipv6() {
    let world = World::on_ipv6();
    let (pod, other) = (world.pod(2), world.pod(3));
    capture_names(&pod);
    proxy(&pod, std::net::Ipv6Addr::LOCALHOST);
    resolver(&other, other.at(53), OTHER_SAYS);
    let own: SocketAddr = "[::1]:53".parse().unwrap();
    for kind in [Type::DGRAM, Type::STREAM] {
        for target in [other.at(53), own] {
            assert_eq!(
                ask(&pod, target, kind, None),
                Some(PROXY_SAYS),
                "{target} {kind:?}"
            );
        }
        assert_eq!(
            ask(&pod, other.at(53), kind, Some(MARK)),
            Some(OTHER_SAYS),
            "{kind:?}"
        );
    }
}

pub(crate) fn questions_are_left_alone_by_default() {
    let world = World::new();
    let (pod, other) = (world.redirected_pod(2), world.pod(3));
    proxy(&pod, Ipv4Addr::LOCALHOST);
    resolver(&other, other.at(53), OTHER_SAYS);
    assert_eq!(ask(&pod, other.at(53), Type::DGRAM, None), Some(OTHER_SAYS));
}

pub(crate) fn a_programs_own_resolver_hears_the_proxy() {
    let pod = World::new().pod(2);
    capture_names(&pod);
    proxy(&pod, Ipv4Addr::LOCALHOST);
    let directory = tempfile::tempdir().unwrap();
    let conf = directory.path().join("resolv.conf");
    for options in ["", "options use-vc\n"] {
        std::fs::write(&conf, format!("nameserver 10.96.0.10\n{options}")).unwrap();
        let mut spec = programs::spec("getent ahostsv4 cart.example.com");
        spec.binds.push((&conf, "/etc/resolv.conf").into());
        let said = programs::said(&pod, &spec);
        assert!(said.starts_with("240.240.0.1 "), "{options:?}: {said}");
    }
}
