//! Who floods the port of certificates and discovery is held back, and everybody else is served.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{MANIFESTS, PATIENCE, Proxy, World, eventually};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::Code;
use wattle_identity::{SpiffeId, SvidRequest};
use wattle_wire::proto::certificate::IstioCertificateRequest;
use wattle_wire::proto::certificate::istio_certificate_service_client::IstioCertificateServiceClient;
use wattle_wire::{Kind, Resource};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const REFUSED_STREAM: u32 = 7;
/// `POST`, `http`, a path, `:authority: x`, `content-type: application/grpc`, `te: trailers`.
const CALL: &[u8] =
    b"\x83\x86\x04\x4f/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources\
    \x41\x01x\x5f\x10application/grpc\x40\x02te\x08trailers";

/// A connection from one of the addresses of this machine.
async fn from(last: u8, world: &World) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, last], 0).into()).unwrap();
    socket.connect(world.control().discovery()).await.unwrap()
}

async fn secured(socket: TcpStream, world: &World, tls: Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let name = ServerName::from(world.control().discovery().ip());
    TlsConnector::from(tls).connect(name, socket).await.unwrap()
}

/// Whether the server begins to speak HTTP/2 there.
async fn served(connection: &mut (impl AsyncRead + Unpin)) -> bool {
    let read = tokio::time::timeout(PATIENCE, connection.read_u8()).await;
    read.expect("neither served nor refused").is_ok()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The code with which a stream is refused; the connection must not end before.
async fn refusal(reader: &mut (impl AsyncRead + Unpin)) -> (u32, u32) {
    let reading = async {
        loop {
            let mut head = [0; 9];
            reader.read_exact(&mut head).await.unwrap();
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            reader.read_exact(&mut payload).await.unwrap();
            if head[3] == 3 {
                let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
                return (number(&head[5..9]), number(&payload));
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("nothing is refused")
}

/// A proxy hears of an edit.
async fn goes_on(world: &World, proxy: &mut Proxy, protocol: &str) {
    let edit = format!("appProtocol: {protocol}");
    world.write("mesh.yaml", &MANIFESTS.replace("appProtocol: http", &edit));
    let heard = |resource: &Resource| matches!(resource, Resource::Destination(found) if found.protocol.as_str() == protocol);
    proxy.until(|proxy| proxy.held.values().any(heard)).await;
}

#[tokio::test]
async fn slow_handshakes_of_one_address_keep_nobody_else_waiting() {
    const SLOW: usize = 140;
    let world = World::start(MANIFESTS).await;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        slow.push(from(2, &world).await);
    }
    eventually(
        "all handshakes that are under way at once could be theirs",
        async || world.metrics().await["connections"] >= 128.0,
    )
    .await;
    let mut proxy = world.join("client", "client-0").await;
    proxy.connect(&world).await.unwrap();
    proxy.want(Kind::Destination, "reviews:9080").await;
    goes_on(&world, &mut proxy, "grpc").await;
    for socket in &slow {
        let waits = socket.try_read(&mut [0]).unwrap_err();
        assert_eq!(
            waits.kind(),
            std::io::ErrorKind::WouldBlock,
            "they are still there"
        );
    }
}

#[tokio::test]
async fn callers_without_a_certificate_have_a_bound_and_one_address_a_share_of_it() {
    let world = World::start(MANIFESTS).await;
    let mut proxy = world.join("client", "client-0").await;
    let nameless = common::tls(&world, None);
    let mut open = Vec::new();
    for address in 2..6 {
        for _ in 0..128 {
            let mut connection = secured(from(address, &world).await, &world, nameless.clone()).await;
            assert!(served(&mut connection).await, "127.0.0.{address}");
            open.push(connection);
        }
        let mut beyond = secured(from(address, &world).await, &world, nameless.clone()).await;
        assert!(!served(&mut beyond).await, "127.0.0.{address} has its share");
        if address == 2 {
            world.join("client", "client-1").await;
        }
    }
    let mut beyond = secured(from(6, &world).await, &world, nameless).await;
    assert!(!served(&mut beyond).await, "no more are taken at all");
    proxy.connect(&world).await.unwrap();
    proxy.want(Kind::Destination, "reviews:9080").await;
    goes_on(&world, &mut proxy, "grpc").await;
    assert_eq!(world.metrics().await["handshakes_failed_total"], 5.0);
}

#[tokio::test]
async fn a_connection_may_have_sixteen_streams() {
    let world = World::start(MANIFESTS).await;
    let proxy = world.join("client", "client-0").await;
    let tls = common::tls(&world, Some(&proxy.svid));
    let mut connection = secured(from(2, &world).await, &world, tls).await;
    connection.write_all(PREFACE).await.unwrap();
    for number in 0..17 {
        connection
            .write_all(&frame(1, 4, number * 2 + 1, CALL))
            .await
            .unwrap();
    }
    assert_eq!(refusal(&mut connection).await, (33, REFUSED_STREAM));
    eventually("the others are open", async || {
        world.metrics().await["connected_streams"] == 16.0
    })
    .await;
}

#[tokio::test]
async fn a_certificate_request_of_more_than_64_kibibytes_is_refused() {
    let world = World::start(MANIFESTS).await;
    let channel = common::dial(&world, common::tls(&world, None)).await.unwrap();
    let id = SpiffeId::new(&World::trust_domain(), "default", "client").unwrap();
    let mut csr = SvidRequest::new(&id).unwrap().csr_pem().to_owned();
    csr.push_str(&"\n".repeat(64 * 1024));
    let request = IstioCertificateRequest {
        csr,
        validity_duration: 0,
    };
    let refused = IstioCertificateServiceClient::new(channel)
        .create_certificate(request)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
}

#[tokio::test]
async fn floods_of_http_2_end_their_own_connection() {
    let world = World::start(MANIFESTS).await;
    let mut proxy = world.join("client", "client-0").await;
    proxy.connect(&world).await.unwrap();
    proxy.want(Kind::Destination, "reviews:9080").await;
    let call = |turn: u32| frame(1, 4, turn * 2 + 1, CALL);
    let resets = move |turn: u32| [call(turn), frame(3, 0, turn * 2 + 1, &[0, 0, 0, 8])].concat();
    let endless = |turn: u32| match turn {
        0 => frame(1, 0, 1, CALL),
        _ => frame(
            9,
            0,
            1,
            &[b"\x40\x01a\x7f\x81\x7f".as_slice(), &[b'x'; 256]].concat(),
        ),
    };
    flood(&world, "resets", &resets).await;
    goes_on(&world, &mut proxy, "grpc").await;
    flood(&world, "continuations", &endless).await;
    goes_on(&world, &mut proxy, "http2").await;
}

/// Sends pieces until the connection ends, which must be soon.
async fn flood(world: &World, name: &str, piece: &dyn Fn(u32) -> Vec<u8>) {
    const MOST: u32 = 100_000;
    let connection = secured(from(2, world).await, world, common::tls(world, None)).await;
    let (mut reader, mut writer) = tokio::io::split(connection);
    let reading = tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
    writer.write_all(PREFACE).await.unwrap();
    let mut sent = 0;
    while sent < MOST && writer.write_all(&piece(sent)).await.is_ok() && writer.flush().await.is_ok() {
        sent += 1;
    }
    assert!(sent < MOST, "{name} goes on and on");
    let _ = tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("it has ended");
}
