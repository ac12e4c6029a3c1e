//! The proxy with real sockets: a client before it, resolvers behind it.
#![allow(clippy::unwrap_used)]
#![allow(dead_code, reason = "the support module serves several tests")]

mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Notify;
use wattle_dns::{Host, Limits, Names, Outside, Server, ServerError, ServerOptions, Transport, Upstream};

use support::{PATIENCE, Stub, address, query, read, refusal, reply, upstream, within, write};

fn names(rows: &[(&str, &str)]) -> Arc<ArcSwap<Names>> {
    let mut builder = Names::builder(&["shop.svc.cluster.local"]).unwrap();
    for (name, address) in rows {
        let host = Host {
            name: (*name).to_owned(),
            aliases: Vec::new(),
            addresses: vec![address.parse().unwrap()],
            ..Host::default()
        };
        builder.add(host).unwrap();
    }
    Arc::new(ArcSwap::from_pointee(builder.build()))
}

fn mesh() -> Arc<ArcSwap<Names>> {
    names(&[("web.example.com", "240.240.0.1")])
}

fn start(names: Arc<ArcSwap<Names>>, upstream: Arc<Upstream>, limits: Limits) -> Server {
    let options = ServerOptions {
        listen: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        limits,
    };
    Server::start(&options, names, upstream).unwrap()
}

fn server(resolvers: &[SocketAddr]) -> Server {
    start(mesh(), upstream(resolvers, PATIENCE), Limits::default())
}

async fn client(server: SocketAddr) -> UdpSocket {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await.unwrap();
    socket.connect(server).await.unwrap();
    socket
}

async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    let length = within(socket.recv(&mut buffer)).await.unwrap();
    buffer[..length].to_vec()
}

async fn over_udp(server: SocketAddr, query: &[u8]) -> Vec<u8> {
    let socket = client(server).await;
    socket.send(query).await.unwrap();
    receive(&socket).await
}

async fn over_tcp(server: SocketAddr, query: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    write(&mut stream, query).await;
    within(read(&mut stream)).await.unwrap()
}

fn first_address(answer: &[u8]) -> String {
    Message::from_vec(answer).unwrap().answers[0].data.to_string()
}

fn code(answer: &[u8]) -> ResponseCode {
    Message::from_vec(answer).unwrap().metadata.response_code
}

#[tokio::test]
async fn names_of_the_mesh_are_answered_over_udp_and_tcp_without_asking_anybody() {
    let stub = Stub::start(|_, _| Vec::new()).await;
    let server = server(&[stub.address]);
    let asked = query("web.example.com.", RecordType::A);
    let udp = over_udp(server.udp_addresses()[0], &asked).await;
    let tcp = over_tcp(server.tcp_addresses()[0], &asked).await;
    assert_eq!(first_address(&udp), "240.240.0.1");
    assert_eq!(udp, tcp);
    assert!(stub.seen().is_empty());
    let counts = server.counters().read();
    assert_eq!((counts.requests, counts.answered, counts.forwarded), (2, 2, 0));
}

#[tokio::test]
async fn both_families_are_served() {
    let stub = Stub::start_on(Ipv6Addr::LOCALHOST.into(), |query, _| {
        vec![refusal(query, ResponseCode::NXDomain)]
    })
    .await;
    let options = ServerOptions {
        listen: vec![(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()],
        ..ServerOptions::default()
    };
    let server = Server::start(&options, mesh(), upstream(&[stub.address], PATIENCE)).unwrap();
    let (ours, other) = (
        query("web.example.com.", RecordType::A),
        query("other.example.com.", RecordType::A),
    );
    for address in server.udp_addresses() {
        assert_eq!(first_address(&over_udp(*address, &ours).await), "240.240.0.1");
        assert_eq!(code(&over_udp(*address, &other).await), ResponseCode::NXDomain);
    }
    for address in server.tcp_addresses() {
        assert_eq!(first_address(&over_tcp(*address, &ours).await), "240.240.0.1");
        assert_eq!(code(&over_tcp(*address, &other).await), ResponseCode::NXDomain);
    }
}

#[tokio::test]
async fn what_is_not_ours_passes_byte_for_byte_but_for_its_number() {
    // A type nobody knows, bits nobody uses, and bytes after the question that are no records.
    let mut asked = query("oTHER.example.com.", RecordType::Unknown(65_280));
    asked[..2].copy_from_slice(&[0xab, 0xcd]);
    asked[3] = 0x70;
    asked.extend(b"whatever this is");
    let stub = Stub::start(|query, _| {
        let mut answer = query.to_vec();
        answer[2] |= 0x80;
        answer.extend(b" and more");
        vec![answer]
    })
    .await;
    let server = server(&[stub.address]);
    let mut expected = asked.clone();
    expected[2] |= 0x80;
    expected.extend(b" and more");
    assert_eq!(over_udp(server.udp_addresses()[0], &asked).await, expected);
    assert_eq!(over_tcp(server.tcp_addresses()[0], &asked).await, expected);
    let seen = stub.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|query| query[2..] == asked[2..]));
    let counts = server.counters().read();
    assert_eq!(
        (counts.forwarded, counts.upstream_requests, counts.failures),
        (2, 2, 0)
    );
    assert!(counts.upstream_latency > Duration::ZERO);
}

#[tokio::test]
async fn forged_answers_are_passed_over() {
    let stub = Stub::start(|asked, _| {
        let mut other_number = refusal(asked, ResponseCode::NXDomain);
        other_number[0] ^= 0xff;
        let mut other_question = refusal(
            &query("elsewhere.example.", RecordType::A),
            ResponseCode::NXDomain,
        );
        other_question[..2].copy_from_slice(&asked[..2]);
        let true_one = reply(
            asked,
            |_| vec![address("other.example.com.", 60, "192.0.2.1")],
            ResponseCode::NoError,
        );
        vec![
            b"short".to_vec(),
            other_number,
            other_question,
            asked.to_vec(),
            true_one,
        ]
    })
    .await;
    let server = server(&[stub.address]);
    let answer = over_udp(
        server.udp_addresses()[0],
        &query("other.example.com.", RecordType::A),
    )
    .await;
    assert_eq!(first_address(&answer), "192.0.2.1");
}

#[tokio::test]
async fn a_resolver_that_is_silent_absent_or_unable_is_followed_by_the_next() {
    let silent = Stub::start(|_, _| Vec::new()).await;
    let unable = Stub::start(|query, _| vec![refusal(query, ResponseCode::ServFail)]).await;
    let good = Stub::with_records(|_| vec![address("other.example.com.", 60, "192.0.2.1")]).await;
    let absent = {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.local_addr().unwrap()
    };
    let asked = query("other.example.com.", RecordType::A);
    for first in [silent.address, unable.address, absent] {
        let upstream = upstream(&[first, good.address], Duration::from_millis(200));
        let server = start(mesh(), upstream, Limits::default());
        let answer = over_udp(server.udp_addresses()[0], &asked).await;
        assert_eq!(first_address(&answer), "192.0.2.1");
        // The one that answered is asked first from now on.
        over_udp(server.udp_addresses()[0], &asked).await;
        assert_eq!(server.counters().read().upstream_requests, 3);
    }
}

#[tokio::test]
async fn when_nobody_answers_the_client_is_told() {
    let silent = Stub::start(|_, _| Vec::new()).await;
    let server = start(
        mesh(),
        upstream(&[silent.address], Duration::from_millis(50)),
        Limits::default(),
    );
    let asked = query("other.example.com.", RecordType::A);
    let answer = over_udp(server.udp_addresses()[0], &asked).await;
    assert_eq!(code(&answer), ResponseCode::ServFail);
    let answer = over_tcp(server.tcp_addresses()[0], &asked).await;
    assert_eq!(code(&answer), ResponseCode::ServFail);
    let counts = server.counters().read();
    assert_eq!((counts.failures, counts.upstream_failures), (2, 2));
}

#[tokio::test]
async fn a_new_table_is_in_force_for_the_next_query() {
    let names = mesh();
    let server = start(names.clone(), upstream(&[], PATIENCE), Limits::default());
    let asked = query("new.example.com.", RecordType::A);
    let at = server.udp_addresses()[0];
    assert_eq!(code(&over_udp(at, &asked).await), ResponseCode::NXDomain);
    names.store(self::names(&[("new.example.com", "240.240.0.9")]).load_full());
    assert_eq!(first_address(&over_udp(at, &asked).await), "240.240.0.9");
}

#[tokio::test]
async fn nobody_is_asked_for_a_name_that_the_workload_is_kept_from() {
    let stub = Stub::start(|query, _| vec![refusal(query, ResponseCode::NXDomain)]).await;
    let mut outside = Outside::nothing("EgressPolicy shop/kept".to_owned());
    outside.add("api.example.net").unwrap();
    let mut builder = Names::builder(&["shop.svc.cluster.local"]).unwrap();
    builder.keep_to(outside);
    let kept = Arc::new(ArcSwap::from_pointee(builder.build()));
    let server = start(
        kept.clone(),
        upstream(&[stub.address], PATIENCE),
        Limits::default(),
    );
    let (udp, tcp) = (server.udp_addresses()[0], server.tcp_addresses()[0]);
    let other = query("c2VjcmV0.evil.example.", RecordType::TXT);
    assert_eq!(code(&over_udp(udp, &other).await), ResponseCode::Refused);
    assert_eq!(code(&over_tcp(tcp, &other).await), ResponseCode::Refused);
    assert!(stub.seen().is_empty());
    let allowed = query("api.example.net.", RecordType::TXT);
    assert_eq!(code(&over_udp(udp, &allowed).await), ResponseCode::NXDomain);
    let counts = server.counters().read();
    assert_eq!((counts.refused, counts.forwarded, counts.answered), (2, 1, 0));
    kept.store(names(&[]).load_full());
    assert_eq!(code(&over_udp(udp, &other).await), ResponseCode::NXDomain);
}

#[tokio::test]
async fn more_queries_than_may_wait_are_refused_and_the_table_still_answers() {
    let silent = Stub::start(|_, _| Vec::new()).await;
    let limits = Limits {
        udp_queries: 1,
        ..Limits::default()
    };
    let server = start(mesh(), upstream(&[silent.address], PATIENCE), limits);
    let at = server.udp_addresses()[0];
    let waiting = client(at).await;
    let asked = query("other.example.com.", RecordType::A);
    waiting.send(&asked).await.unwrap();
    within(async {
        while silent.seen().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(code(&over_udp(at, &asked).await), ResponseCode::ServFail);
    assert_eq!(server.counters().read().overloaded, 1);
    let ours = query("web.example.com.", RecordType::A);
    assert_eq!(first_address(&over_udp(at, &ours).await), "240.240.0.1");
}

#[tokio::test]
async fn tcp_connections_are_bounded_and_may_not_idle() {
    let limits = Limits {
        tcp_connections: 1,
        tcp_idle: Duration::from_millis(300),
        ..Limits::default()
    };
    let server = start(mesh(), upstream(&[], PATIENCE), limits);
    let at = server.tcp_addresses()[0];
    let asked = query("web.example.com.", RecordType::A);
    let mut first = TcpStream::connect(at).await.unwrap();
    for _ in 0..2 {
        write(&mut first, &asked).await;
        within(read(&mut first)).await.unwrap();
    }
    let mut second = TcpStream::connect(at).await.unwrap();
    assert!(within(read(&mut second)).await.is_err());
    assert!(within(read(&mut first)).await.is_err());
    assert_eq!(server.counters().read().overloaded, 1);
}

#[tokio::test]
async fn a_server_that_goes_finishes_what_is_under_way() {
    let go = Arc::new(Notify::new());
    let (stub_socket, released) = (UdpSocket::bind("127.0.0.1:0").await.unwrap(), go.clone());
    let resolver = stub_socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        let (length, from) = stub_socket.recv_from(&mut buffer).await.unwrap();
        released.notified().await;
        let answer = refusal(&buffer[..length], ResponseCode::NXDomain);
        stub_socket.send_to(&answer, from).await.unwrap();
    });
    let server = server(&[resolver]);
    let (udp, tcp) = (server.udp_addresses()[0], server.tcp_addresses()[0]);
    let counters = server.counters().clone();
    let waiting = client(udp).await;
    waiting
        .send(&query("other.example.com.", RecordType::A))
        .await
        .unwrap();
    within(async {
        while counters.read().forwarded == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let drained = tokio::spawn(server.drain());
    within(async {
        while TcpStream::connect(tcp).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!drained.is_finished());
    go.notify_one();
    assert_eq!(code(&receive(&waiting).await), ResponseCode::NXDomain);
    within(drained).await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_stops_listening() {
    let server = server(&[]);
    let tcp = server.tcp_addresses()[0];
    drop(server);
    within(async {
        while TcpStream::connect(tcp).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_resolver_that_is_the_server_itself_is_refused() {
    let options = ServerOptions::default();
    let own = options.listen[0];
    let error = Server::start(&options, mesh(), upstream(&[own], PATIENCE)).unwrap_err();
    assert!(matches!(error, ServerError::Loop { resolver } if resolver == own));
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let server = server(&[]);
    let options = ServerOptions {
        listen: vec![server.udp_addresses()[0]],
        ..ServerOptions::default()
    };
    let error = Server::start(&options, mesh(), upstream(&[], PATIENCE)).unwrap_err();
    let is_udp = matches!(
        error,
        ServerError::Listen {
            transport: Transport::Udp,
            ..
        }
    );
    assert!(is_udp, "{error}");
}

#[tokio::test]
async fn garbage_is_survived() {
    let server = server(&[]);
    let at = server.udp_addresses()[0];
    let socket = client(at).await;
    for length in [0, 1, 11, 12, 600, 60_000] {
        socket.send(&vec![0xff; length]).await.unwrap();
    }
    let mut stream = TcpStream::connect(server.tcp_addresses()[0]).await.unwrap();
    write(&mut stream, &[0xff; 3]).await;
    assert!(within(read(&mut stream)).await.is_err());
    let answer = over_udp(at, &query("web.example.com.", RecordType::A)).await;
    assert_eq!(first_address(&answer), "240.240.0.1");
    assert_eq!(server.counters().read().dropped, 7);
}
