//! Bounds before a handshake, small enough to be reached.
#![allow(clippy::unwrap_used)]

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use wattle_identity::TrustDomain;

use super::*;
use crate::config::TrustSettings;
use crate::store::Store;

const PATIENCE: Duration = Duration::from_secs(20);

/// An acceptor that runs, with room for so many connections, and so many of one address before their handshake.
struct Port {
    _state: tempfile::TempDir,
    address: SocketAddr,
    metrics: Arc<Metrics>,
    _connections: mpsc::Receiver<io::Result<Connection>>,
}

impl Port {
    async fn open(places: usize, arrivals: usize) -> Self {
        let state = tempfile::tempdir().unwrap();
        let (store, roots) = (Store::open(state.path()).unwrap(), state.path().join("roots.pem"));
        let issuer = Issuer::open(
            Arc::new(store),
            &TrustDomain::new("td").unwrap(),
            &TrustSettings::default(),
            roots,
            Clock::default(),
        );
        let (ready, connections) = mpsc::channel(1);
        let metrics = Arc::<Metrics>::default();
        let acceptor = Acceptor {
            issuer: Arc::new(issuer.unwrap()),
            clock: Clock::default(),
            metrics: metrics.clone(),
            places: Arc::new(Semaphore::new(places)),
            rooms: Rooms {
                arrivals: Room::new(places, arrivals),
                ..Rooms::new()
            },
            ready,
            stop: CancellationToken::new(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(Arc::new(acceptor).run(listener));
        Self {
            _state: state,
            address,
            metrics,
            _connections: connections,
        }
    }

    /// A connection of one of the addresses of this machine, which says nothing.
    async fn silent(&self, last: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, last], 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// Waits until so many are accepted and not closed.
    async fn holds(&self, count: u64) {
        let held = async {
            while self.metrics.connections.load(Ordering::Relaxed) != count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, held)
            .await
            .expect("they are accepted");
    }
}

#[tokio::test]
async fn an_address_that_only_arrives_has_a_share_of_the_connections() {
    let port = Port::open(4, 2).await;
    let held = [port.silent(2).await, port.silent(2).await];
    port.holds(2).await;
    let mut beyond = port.silent(2).await;
    let closed = tokio::time::timeout(PATIENCE, beyond.read(&mut [0])).await;
    assert_eq!(closed.expect("it is closed").unwrap_or(0), 0);
    assert_eq!(port.metrics.handshakes_failed.load(Ordering::Relaxed), 1);
    let _other = port.silent(3).await;
    port.holds(3).await;
    drop(held);
    port.holds(1).await;
    let _again = port.silent(2).await;
    port.holds(2).await;
}

#[tokio::test]
async fn a_connection_beyond_the_bound_waits_until_another_ends() {
    let port = Port::open(2, 2).await;
    let first = port.silent(2).await;
    let _second = port.silent(3).await;
    port.holds(2).await;
    let third = port.silent(4).await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
        assert_eq!(port.metrics.connections.load(Ordering::Relaxed), 2);
    }
    let waits = third.try_read(&mut [0]).unwrap_err();
    assert_eq!(waits.kind(), io::ErrorKind::WouldBlock, "it is not closed");
    drop(first);
    // The end of the first is counted, and its place taken.
    while port.metrics.handshakes_failed.load(Ordering::Relaxed) == 0 {
        port.holds(2).await;
        tokio::task::yield_now().await;
    }
    port.holds(2).await;
}
