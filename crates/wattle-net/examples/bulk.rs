//! CPU time per gigabyte of one bulk stream through a pair: client → relay ═ TLS ═ relay → server.
//!
//! `cargo run --release --example bulk -- [ours|tokio-rustls|plain|idle] [GIGABYTES]`
//!
//! The pair runs on its own thread, whose CPU time is what is reported; source and sink run on
//! another. `idle` holds a thousand connections per "gigabyte" instead. `tokio-rustls` does the same with that crate's stream and a copy through 64 KiB buffers.
#![allow(clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use common::{Authority, server_name};
use rustix::time::{ClockId, clock_gettime};
use wattle_net::{RelayOptions, relay};

const CHUNK: usize = 256 * 1024;

fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// A connected pair whose first end blocks and whose second is for the runtime.
fn half() -> (TcpStream, tokio::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let near = listener.accept().unwrap().0;
    near.set_nonblocking(true).unwrap();
    (far, tokio::net::TcpStream::from_std(near).unwrap())
}

fn blast(mut source: TcpStream, bytes: u64) {
    let chunk = vec![7; CHUNK];
    for _ in 0..bytes / CHUNK as u64 {
        source.write_all(&chunk).unwrap();
    }
}

fn sink(mut target: TcpStream) -> u64 {
    let mut chunk = vec![0; CHUNK];
    let mut total = 0;
    loop {
        match target.read(&mut chunk).unwrap() {
            0 => return total,
            count => total += count as u64,
        }
    }
}

async fn ours(client: tokio::net::TcpStream, server: tokio::net::TcpStream) {
    let authority = Authority::new();
    let (near, far) = common::tcp_pair().await;
    let (near, far) = common::tls_over(&authority, near.into(), far.into()).await;
    tokio::join!(
        relay(client.into(), near, RelayOptions::default()),
        relay(far, server.into(), RelayOptions::default()),
    );
}

async fn theirs(mut client: tokio::net::TcpStream, mut server: tokio::net::TcpStream) {
    let authority = Authority::new();
    let (near, far) = common::tcp_pair().await;
    let connector = tokio_rustls::TlsConnector::from(authority.client(&[]));
    let acceptor = tokio_rustls::TlsAcceptor::from(authority.server(&[]));
    let (near, far) = tokio::join!(connector.connect(server_name(), near), acceptor.accept(far));
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    let (up, down) = tokio::join!(
        tokio::io::copy_bidirectional_with_sizes(&mut client, &mut near, 65536, 65536),
        tokio::io::copy_bidirectional_with_sizes(&mut far, &mut server, 65536, 65536),
    );
    up.unwrap();
    down.unwrap();
}

async fn plain(client: tokio::net::TcpStream, server: tokio::net::TcpStream) {
    let (near, far) = common::tcp_pair().await;
    tokio::join!(
        relay(client.into(), near.into(), RelayOptions::default()),
        relay(far.into(), server.into(), RelayOptions::default()),
    );
}

/// Anonymous memory of this process.
fn anonymous_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Memory of idle TLS connections, each with both of its ends in this process.
async fn idle(connections: u64) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let authority = Authority::new();
    let (client, server) = (authority.client(&[]), authority.server(&[]));
    let mut held = Vec::new();
    let mut before = 0;
    for at in 0..connections + 10 {
        if at == 10 {
            before = anonymous_kib();
        }
        let (near, far) = common::tcp_pair().await;
        let (near, far) = tokio::join!(
            wattle_net::tls::connect(near.into(), server_name(), client.clone(), common::PATIENCE),
            wattle_net::tls::accept(far.into(), server.clone(), common::PATIENCE),
        );
        let (mut near, mut far) = (near.unwrap().stream, far.unwrap().stream);
        far.write_all(&[7; 1000]).await.unwrap();
        near.read_exact(&mut [0; 1000]).await.unwrap();
        // What a waiting reader holds counts, too.
        let mut byte = [0];
        assert!(poll_once(near.read(&mut byte)).await.is_none());
        held.push((near, far));
    }
    let each = (anonymous_kib() - before) as f64 / connections as f64;
    println!("idle: {each:.1} KiB for both ends of a TLS connection");
}

async fn poll_once<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match work.as_mut().poll(cx) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let which = arguments.next().unwrap_or_else(|| "ours".into());
    let gigabytes: u64 = arguments.next().map_or(2, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    if which == "idle" {
        return runtime.block_on(idle(gigabytes * 1000));
    }
    runtime.block_on(async {
        let ((source, client), (target, server)) = (half(), half());
        let blaster = std::thread::spawn(move || blast(source, gigabytes << 30));
        let sinker = std::thread::spawn(move || sink(target));
        let (before, begin) = (cpu_seconds(), std::time::Instant::now());
        match which.as_str() {
            "tokio-rustls" => theirs(client, server).await,
            "plain" => plain(client, server).await,
            _ => ours(client, server).await,
        }
        let cpu = cpu_seconds() - before;
        blaster.join().unwrap();
        let total = sinker.join().unwrap();
        assert_eq!(total, gigabytes << 30);
        let decimal = total as f64 / 1e9;
        println!(
            "{which}: {:.3} CPU s/GB of the pair, {:.2} GB/s",
            cpu / decimal,
            decimal / begin.elapsed().as_secs_f64()
        );
    });
}
