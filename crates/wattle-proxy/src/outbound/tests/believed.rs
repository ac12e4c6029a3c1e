//! Connections to other proxies that are open when roots change.

use http::HeaderValue;
use http::header::{CONNECTION, UPGRADE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use wattle_http::{BodyError, Frame};
use wattle_model::{Endpoint, Hop, Inbound, InboundPort, Protocol, Workload};

use super::*;
use crate::inbound::secured;
use crate::outbound::tcp;
use crate::phases::accept::Accepted;
use crate::tests::root::{Root, believing};
use crate::tests::{identity, pair, worker_with};

/// A client's proxy of the first root, and a server's of the second.
struct Mesh {
    client: World,
    server: Rc<Worker>,
    /// Connections that the server's proxy has accepted.
    accepted: Rc<Cell<usize>>,
    first: Root,
    second: Root,
}

impl Mesh {
    /// With this application behind the server's proxy.
    async fn new(app: SocketAddr, http1_hop: bool) -> Self {
        let (first, second) = (Root::new("first"), Root::new("second"));
        let client = World {
            worker: worker_with(|settings| settings.http1_hop = http1_hop),
            destination: RefCell::default(),
        };
        let server = worker();
        let both = [("td", &first), ("td", &second)];
        client
            .worker
            .hear(believing(&first.svid(&identity("a"), 1), &both));
        server.hear(believing(&second.svid(&identity("b"), 1), &both));
        server.hear(News::Inbound(Arc::new(Inbound {
            ports: vec![InboundPort {
                port: app.port(),
                protocol: Protocol::Detect,
                mtls: wattle_model::MtlsMode::Strict,
                mtls_origin: None,
                service: None,
                target: None,
            }],
            ..Inbound::default()
        })));
        let accepted = Rc::new(Cell::new(0));
        client.meet(proxy(&server, app, &accepted).await);
        Self {
            client,
            server,
            accepted,
            first,
            second,
        }
    }

    /// The server gets a certificate of the first root, as when a rotation has come so far.
    fn renew_server(&self) {
        let both = [("td", &self.first), ("td", &self.second)];
        self.server
            .hear(believing(&self.first.svid(&identity("b"), 2), &both));
    }

    /// The client believes the first root alone.
    fn forget_second(&self) {
        let svid = self.first.svid(&identity("a"), 1);
        self.client.worker.hear(believing(&svid, &[("td", &self.first)]));
    }
}

impl World {
    /// The only endpoint is behind this proxy.
    fn meet(&self, address: SocketAddr) {
        let workload = Workload {
            trust_domain: "td".into(),
            namespace: "n".into(),
            service_account: "b".into(),
            ..Workload::default()
        };
        let endpoint = Endpoint {
            hop: Hop::MutualTls,
            workload: Arc::new(workload),
            ..endpoint(address)
        };
        let endpoints = Endpoints {
            id: id(0),
            endpoints: vec![endpoint],
            names: Vec::new(),
        };
        self.worker.hear(News::Endpoints(id(0), Arc::new(endpoints)));
        self.destination.borrow_mut().backends.push(Backend {
            id: id(0),
            ..Backend::default()
        });
        self.destination.borrow_mut().default_backend = Some(0);
        self.route(rule(&[1]));
    }
}

/// The inbound side of a proxy, on loopback.
async fn proxy(server: &Rc<Worker>, app: SocketAddr, accepted: &Rc<Cell<usize>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (server, count) = (server.clone(), accepted.clone());
    tokio::task::spawn_local(async move {
        while let Ok((socket, peer)) = listener.accept().await {
            count.set(count.get() + 1);
            let accepted = Accepted {
                stream: socket.into(),
                peer,
                destination: app,
            };
            let server = server.clone();
            tokio::task::spawn_local(async move { secured(&server, accepted, None).await });
        }
    });
    address
}

async fn within(work: impl Future<Output = ()>) {
    let local = LocalSet::new();
    tokio::time::timeout(Duration::from_secs(20), local.run_until(work))
        .await
        .expect("neither an answer nor an end");
}

/// A request is under way when the root of its server is removed: it is answered, and the next one goes another way.
async fn answered_and_left(http1_hop: bool) {
    let (arrived, go_on) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
    let (there, wait) = (arrived.clone(), go_on.clone());
    let app = application(async move |_| {
        there.notify_one();
        wait.notified().await;
        Response::new(StatusCode::OK, Body::Empty)
    })
    .await;
    let mesh = Mesh::new(app, http1_hop).await;
    let (first, ()) = tokio::join!(mesh.client.send(get()), async {
        arrived.notified().await;
        mesh.renew_server();
        mesh.forget_second();
        // The connection is let go of before its request is answered.
        until(|| mesh.client.worker.proofs.rejected() == 1).await;
        go_on.notify_one();
    });
    assert_eq!(first.head.status, StatusCode::OK);
    drop(first);
    for _ in 0..2 {
        go_on.notify_one();
        assert_eq!(mesh.client.send(get()).await.head.status, StatusCode::OK);
    }
    assert_eq!(mesh.accepted.get(), 2);
}

#[tokio::test]
async fn a_shared_connection_finishes_its_requests_and_gets_no_other() {
    within(answered_and_left(false)).await;
}

#[tokio::test]
async fn a_connection_for_single_requests_is_not_kept_after_the_one_under_way() {
    within(answered_and_left(true)).await;
}

#[tokio::test]
async fn an_opaque_connection_ends_when_the_root_above_its_server_is_removed() {
    within(async {
        let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = app.local_addr().unwrap();
        tokio::task::spawn_local(async move {
            let (mut reader, mut writer) = app.accept().await.unwrap().0.into_split();
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
        });
        let mesh = Mesh::new(address, false).await;
        let mut near = opaque(&mesh.client).await;
        near.write_all(b"x").await.unwrap();
        assert_eq!(near.read_u8().await.unwrap(), b'x');
        mesh.forget_second();
        let end = near.read_u8().await.unwrap_err();
        assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
    })
    .await;
}

#[tokio::test]
async fn a_tunnel_ends_when_the_root_above_its_server_is_removed() {
    within(async {
        let app = application(async |request: Request| {
            let mut response = Response::new(StatusCode::SWITCHING_PROTOCOLS, request.body);
            response.head.headers.extend(websocket());
            response
        })
        .await;
        let mesh = Mesh::new(app, false).await;
        let (sender, body) = Body::channel(1);
        let mut request = Request::new(RequestHead::new(Method::GET, "b", "/"), body);
        request.head.headers.extend(websocket());
        let mut response = mesh.client.send(request).await;
        assert_eq!(response.head.status, StatusCode::SWITCHING_PROTOCOLS);
        let word = Frame::Data("x".into());
        sender.send(word.clone()).await.unwrap();
        assert_eq!(response.body.next().await.unwrap().unwrap(), word);
        mesh.forget_second();
        assert!(matches!(
            response.body.next().await,
            Some(Err(BodyError::Abandoned))
        ));
    })
    .await;
}

fn websocket() -> HeaderMap {
    let fields = [(UPGRADE, "websocket"), (CONNECTION, "upgrade")];
    fields
        .map(|(name, value)| (name, HeaderValue::from_static(value)))
        .into_iter()
        .collect()
}

/// The application's end of an opaque connection through its proxy.
async fn opaque(client: &World) -> TcpStream {
    let (near, far) = pair().await;
    let found = client
        .worker
        .destinations
        .find(&client.worker, SERVICE.into())
        .await;
    let (worker, service) = (client.worker.clone(), found.ok().unwrap());
    let accepted = Accepted {
        peer: far.peer_addr().unwrap(),
        stream: far.into(),
        destination: SERVICE.into(),
    };
    tokio::task::spawn_local(async move { tcp::carry(&worker, accepted, &service, None).await });
    near
}

#[tokio::test]
async fn a_server_that_answers_in_plaintext_where_it_has_to_prove_its_name_hears_nothing() {
    within(async {
        let named = Named::default();
        let mesh = Mesh::new(named.start().await, false).await;
        // Its own address, past its proxy.
        let naked = World {
            worker: mesh.client.worker.clone(),
            destination: RefCell::default(),
        };
        naked.meet(named.start().await);
        let refused = naked.send(get()).await;
        assert_eq!(
            (refused.head.status.as_u16(), reason(&refused)),
            (503, "upstream_tls_failure")
        );
        let mut near = opaque(&naked).await;
        let _ = near.write_all(b"GET / HTTP/1.1\r\nhost: b\r\n\r\n").await;
        assert!(near.read_u8().await.is_err());
        assert_eq!(named.asked.get(), 0);
    })
    .await;
}

/// More than the resets that end a stranger's connection.
const RUDE: usize = 3_000;

#[tokio::test]
async fn a_client_that_gives_up_all_its_requests_does_not_end_the_hop_that_others_share() {
    within(async {
        let (arrived, go_on) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
        let (there, wait) = (arrived.clone(), go_on.clone());
        let app = application(async move |request: Request| {
            if request.head.method == Method::DELETE {
                std::future::pending::<()>().await;
            }
            there.notify_one();
            wait.notified().await;
            Response::new(StatusCode::OK, Body::Empty)
        })
        .await;
        let mesh = Mesh::new(app, false).await;
        let (neighbour, ()) = tokio::join!(mesh.client.send(get()), async {
            arrived.notified().await;
            for _ in 0..RUDE {
                let rude = mesh.client.send(request(Method::DELETE));
                // It is on its way when it is given up.
                let _ = tokio::time::timeout(Duration::ZERO, rude).await;
                tokio::task::yield_now().await;
            }
            go_on.notify_one();
        });
        assert_eq!(neighbour.head.status, StatusCode::OK);
        go_on.notify_one();
        assert_eq!(mesh.client.send(get()).await.head.status, StatusCode::OK);
        assert_eq!(mesh.accepted.get(), 1);
    })
    .await;
}
