//! A resolver on loopback that does what a test says, and clients that ask plainly.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use wattle_dns::{Outward, Transport, Upstream};

/// Longest wait for anything on one machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What a resolver sends for a query: any number of messages.
type Script = dyn Fn(&[u8], Transport) -> Vec<Vec<u8>> + Send + Sync;

/// A resolver that answers over UDP and TCP on one port.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Stub {
    pub(crate) async fn start(
        script: impl Fn(&[u8], Transport) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), script).await
    }

    pub(crate) async fn start_on(
        ip: std::net::IpAddr,
        script: impl Fn(&[u8], Transport) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let (udp, tcp) = same_port(ip).await;
        let address = udp.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        tokio::spawn(serve_udp(udp, script.clone(), seen.clone()));
        tokio::spawn(serve_tcp(tcp, script, seen.clone()));
        Self { address, seen }
    }

    /// One that answers with records.
    pub(crate) async fn with_records(
        records: impl Fn(&Query) -> Vec<Record> + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |query, _| vec![reply(query, &records, ResponseCode::NoError)]).await
    }

    /// What was asked, in order.
    pub(crate) fn seen(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap().clone()
    }
}

async fn same_port(ip: std::net::IpAddr) -> (UdpSocket, TcpListener) {
    for _ in 0..20 {
        let tcp = TcpListener::bind((ip, 0)).await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both");
}

async fn serve_udp(socket: UdpSocket, script: Arc<Script>, seen: Arc<Mutex<Vec<Vec<u8>>>>) {
    let mut buffer = vec![0; 65_535];
    loop {
        let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
        seen.lock().unwrap().push(buffer[..length].to_vec());
        for message in script(&buffer[..length], Transport::Udp) {
            socket.send_to(&message, client).await.unwrap();
        }
    }
}

async fn serve_tcp(listener: TcpListener, script: Arc<Script>, seen: Arc<Mutex<Vec<Vec<u8>>>>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let query = read(&mut stream).await.unwrap();
        seen.lock().unwrap().push(query.clone());
        for message in script(&query, Transport::Tcp) {
            write(&mut stream, &message).await;
        }
    }
}

pub(crate) async fn read(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; length.into()];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

pub(crate) async fn write(stream: &mut TcpStream, message: &[u8]) {
    let length = u16::try_from(message.len()).unwrap();
    stream.write_all(&length.to_be_bytes()).await.unwrap();
    stream.write_all(message).await.unwrap();
}

/// The answer to a query with these records.
pub(crate) fn reply(query: &[u8], records: impl Fn(&Query) -> Vec<Record>, code: ResponseCode) -> Vec<u8> {
    let query = Message::from_vec(query).unwrap();
    let mut message = Message::response(query.metadata.id, query.metadata.op_code);
    message.metadata.response_code = code;
    message.add_query(query.queries[0].clone());
    message.insert_answers(records(&query.queries[0]));
    message.to_vec().unwrap()
}

/// The answer to a query with this outcome and nothing else.
pub(crate) fn refusal(query: &[u8], code: ResponseCode) -> Vec<u8> {
    reply(query, |_| Vec::new(), code)
}

pub(crate) fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// A record that says where `owner` is, for the family asked for.
pub(crate) fn address(owner: &str, ttl: u32, address: &str) -> Record {
    let data = match address.parse().unwrap() {
        std::net::IpAddr::V4(address) => RData::A(A(address)),
        std::net::IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    };
    Record::from_rdata(name(owner), ttl, data)
}

pub(crate) fn alias(owner: &str, ttl: u32, target: &str) -> Record {
    Record::from_rdata(name(owner), ttl, RData::CNAME(CNAME(name(target))))
}

pub(crate) fn query(host: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name(host), kind));
    message.to_vec().unwrap()
}

/// Resolvers that are given up soon, for tests where one is silent.
pub(crate) fn upstream(resolvers: &[SocketAddr], timeout: Duration) -> Arc<Upstream> {
    Arc::new(Upstream::new(resolvers, Outward::default(), timeout))
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it happens in time")
}
