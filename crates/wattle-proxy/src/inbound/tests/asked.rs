//! Services that are asked whether a request may in: Envoy's protocol and plain HTTP, spoken by servers of another making.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request as Asked, Response as Answer, Status};
use wattle_http::Frame;
use wattle_model::{
    Authorization, Backend, CheckProtocol, CheckedBody, Destination, Endpoints, External, ExternalAuthorizer,
    HttpCheck, TextMatch,
};
use wattle_wire::proto::external_auth::authorization_server::{
    Authorization as Authorizing, AuthorizationServer,
};
use wattle_wire::proto::external_auth::check_response::{self, HttpResponse};
use wattle_wire::proto::external_auth::denied_http_response::HttpStatus;
use wattle_wire::proto::external_auth::{
    AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValue as Said,
    HeaderValueOption, OkHttpResponse, QueryParameter,
};

use super::*;
use crate::config::Dialled;
use crate::tests::endpoint;

const SERVICE: &str = "authz.n.svc.cluster.local:9000";
/// Whoever does not answer within this never does.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a service was asked.
type Questions = Arc<Mutex<Vec<AttributeContext>>>;

/// Refuses the account `bad` and what goes to `/bad`, fails for `/broken`, says nothing for `/silent`, lets in what else there is.
struct Service(Questions);

fn header(name: &str, value: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(Said {
            key: name.to_owned(),
            value: value.to_owned(),
            raw_value: Vec::new(),
        }),
        append: None,
        append_action: 0,
    }
}

#[tonic::async_trait]
impl Authorizing for Service {
    async fn check(&self, asked: Asked<CheckRequest>) -> Result<Answer<CheckResponse>, Status> {
        let attributes = asked.into_inner().attributes.unwrap();
        let path = attributes
            .request
            .as_ref()
            .and_then(|request| request.http.as_ref());
        let path = path.map_or(String::new(), |http| http.path.clone());
        let is_bad = attributes
            .source
            .as_ref()
            .is_some_and(|source| source.principal.ends_with("/bad"));
        self.0.lock().unwrap().push(attributes);
        if is_bad {
            return Ok(Answer::new(CheckResponse {
                status: Some(check_response::Status { code: 7 }),
                http_response: None,
            }));
        }
        if path.starts_with("/broken") {
            return Err(Status::internal("no rules"));
        }
        if path.starts_with("/silent") {
            std::future::pending::<()>().await;
        }
        let (code, http_response) = match path.starts_with("/bad") {
            true => (
                7,
                HttpResponse::DeniedResponse(DeniedHttpResponse {
                    status: Some(HttpStatus { code: 302 }),
                    headers: vec![
                        header("location", "/login"),
                        header("set-cookie", "a=1"),
                        header("set-cookie", "b=2"),
                        header("content-length", "99"),
                    ],
                    body: "come in by the door".to_owned(),
                }),
            ),
            false => (
                0,
                HttpResponse::OkResponse(OkHttpResponse {
                    headers: vec![header("x-user", "ann")],
                    headers_to_remove: vec!["authorization".to_owned(), "host".to_owned()],
                    response_headers_to_add: vec![header("x-checked", "yes")],
                    query_parameters_to_set: vec![QueryParameter {
                        key: "as".to_owned(),
                        value: "ann".to_owned(),
                    }],
                    query_parameters_to_remove: vec!["key".to_owned()],
                }),
            ),
        };
        Ok(Answer::new(CheckResponse {
            status: Some(check_response::Status { code }),
            http_response: Some(http_response),
        }))
    }
}

/// Tells the worker that the service is a destination of the mesh.
fn reachable(worker: &Worker, address: SocketAddr) {
    let endpoints = Endpoints {
        id: "n/authz:9000".into(),
        endpoints: vec![endpoint(address)],
        ..Endpoints::default()
    };
    let destination = Destination {
        name: SERVICE.into(),
        backends: vec![Backend {
            id: endpoints.id.clone(),
            ..Backend::default()
        }],
        default_backend: Some(0),
        ..Destination::default()
    };
    worker.hear(News::Endpoints(endpoints.id.clone(), Arc::new(endpoints)));
    worker.hear(News::Destination(
        Dialled::read(&SERVICE.into()),
        Some(Arc::new(destination)),
    ));
}

async fn over_grpc(worker: &Worker) -> Questions {
    let questions = Questions::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    reachable(worker, listener.local_addr().unwrap());
    let server = AuthorizationServer::new(Service(questions.clone()));
    let serving = tonic::transport::Server::builder()
        .add_service(server)
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(serving);
    questions
}

fn authorizer(protocol: CheckProtocol) -> ExternalAuthorizer {
    ExternalAuthorizer {
        name: "opa".into(),
        service: SERVICE.into(),
        protocol,
        timeout: PATIENCE,
        fail_open: false,
        status_on_error: 403,
        body: None,
    }
}

/// Everything but `/free` is asked about.
fn asking(port: u16, authorizer: ExternalAuthorizer) -> Inbound {
    let mut inbound = open(port);
    let rule = PolicyRule {
        to: vec![wattle_model::Operation {
            not_paths: vec![TextMatch::Exact("/free".into())],
            ..wattle_model::Operation::default()
        }],
        ..PolicyRule::default()
    };
    inbound.authorization = Authorization {
        external: vec![External {
            authorizer: Arc::new(authorizer),
            policies: vec![Policy {
                origin: origin("custom"),
                rules: vec![rule],
            }],
        }],
        ..inbound.authorization
    };
    inbound
}

/// An application that repeats what it got: target, `x-user`, whether there was an authorization, body.
async fn repeating(request: Request) -> Response {
    let headers = &request.head.headers;
    let user = headers.get("x-user").map_or("-", |user| user.to_str().unwrap());
    let said = format!(
        "{} {user} {} ",
        request.head.path_and_query,
        headers.contains_key("authorization")
    );
    let body = request.body.collect(1 << 20).await.unwrap();
    Response::new(StatusCode::OK, Body::full([said.as_bytes(), &body].concat()))
}

fn with(mut request: Request, headers: &[(&'static str, &'static str)]) -> Request {
    for (name, value) in headers {
        request
            .head
            .headers
            .append(*name, HeaderValue::from_static(value));
    }
    request
}

async fn text(response: Response) -> String {
    String::from_utf8(response.body.collect(1 << 20).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn who_is_let_in_arrives_as_the_service_says_and_who_is_not_hears_why() {
    let run = async {
        let (worker, app) = (worker(), application(repeating).await);
        let questions = over_grpc(&worker).await;
        tell(
            &worker,
            asking(app.port(), authorizer(CheckProtocol::Grpc)),
            &[],
            None,
        );
        let request = with(
            get("/p?key=1&q=2"),
            &[
                ("authorization", "Bearer t"),
                ("x-user", "mallory"),
                ("x_user", "mallory"),
            ],
        );
        let response = send(&worker, app, Some("x"), request).await;
        assert_eq!(response.head.headers["x-checked"], "yes");
        assert_eq!(text(response).await, "/p?q=2&as=ann ann false ");
        let refused = send(&worker, app, None, get("/bad")).await;
        let headers = &refused.head.headers;
        assert_eq!(
            (refused.head.status.as_u16(), &headers["location"]),
            (302, &HeaderValue::from_static("/login"))
        );
        assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
        assert_eq!(headers["wattle-reason"], "external_denied");
        assert_eq!(text(refused).await, "come in by the door");
        let free = send(&worker, app, None, with(get("/free"), &[("x-user", "me")])).await;
        assert_eq!(text(free).await, "/free me false ");
        let asked = questions.lock().unwrap().clone();
        assert_eq!(asked.len(), 2);
        let (source, http) = (
            asked[0].source.clone().unwrap(),
            asked[0].request.clone().unwrap().http.unwrap(),
        );
        assert_eq!(source.principal, "spiffe://td/ns/n/sa/x");
        assert_eq!(
            (http.method.as_str(), http.path.as_str(), http.host.as_str()),
            ("GET", "/p?key=1&q=2", "a")
        );
        assert_eq!(http.headers["authorization"], "Bearer t");
        assert_eq!(asked[0].context_extensions["policy"], "n/custom");
        assert_eq!(asked[1].source.clone().unwrap().principal, "");
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_service_that_does_not_answer_refuses_as_it_is_told_to_unless_it_fails_open() {
    let run = async {
        let (worker, app) = (worker(), application(repeating).await);
        over_grpc(&worker).await;
        for (fail_open, expected) in [(false, 503), (true, 200)] {
            for (path, timeout) in [("/broken", PATIENCE), ("/silent", Duration::from_millis(20))] {
                let authorizer = ExternalAuthorizer {
                    timeout,
                    fail_open,
                    status_on_error: 503,
                    ..authorizer(CheckProtocol::Grpc)
                };
                tell(&worker, asking(app.port(), authorizer), &[], None);
                let response = send(&worker, app, None, get(path)).await;
                assert_eq!(response.head.status, expected, "{path} {fail_open}");
                if !fail_open {
                    assert_eq!(response.head.headers["wattle-reason"], "external_failure");
                }
            }
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_service_that_nobody_knows_refuses() {
    let run = async {
        let (worker, app) = (worker(), application(repeating).await);
        tell(
            &worker,
            asking(app.port(), authorizer(CheckProtocol::Grpc)),
            &[],
            None,
        );
        let refused = send(&worker, app, None, get("/p")).await;
        assert_eq!(
            (
                refused.head.status.as_u16(),
                &refused.head.headers["wattle-reason"]
            ),
            (403, &HeaderValue::from_static("external_failure"))
        );
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn the_beginning_of_a_body_is_shown_and_all_of_it_arrives() {
    let run = async {
        let (worker, app) = (worker(), application(repeating).await);
        let questions = over_grpc(&worker).await;
        for (allow_partial, expected) in [(true, 200), (false, 413)] {
            let authorizer = ExternalAuthorizer {
                body: Some(CheckedBody {
                    max_bytes: 5,
                    allow_partial,
                    as_bytes: false,
                }),
                ..authorizer(CheckProtocol::Grpc)
            };
            tell(&worker, asking(app.port(), authorizer), &[], None);
            let (sender, body) = Body::channel(4);
            for piece in ["hel", "lo, ", "world"] {
                sender
                    .try_send(Frame::Data(Bytes::from_static(piece.as_bytes())))
                    .unwrap();
            }
            sender.finish();
            let request = Request::new(RequestHead::new(Method::POST, "a", "/p"), body);
            let response = send(&worker, app, None, request).await;
            assert_eq!(response.head.status, expected);
            if allow_partial {
                assert_eq!(text(response).await, "/p?as=ann ann false hello, world");
            }
        }
        let asked = questions.lock().unwrap().clone();
        let [only] = asked.as_slice() else {
            panic!("{asked:?}")
        };
        let http = only.request.clone().unwrap().http.unwrap();
        assert_eq!(http.body, "hello");
        assert_eq!(http.headers["x-envoy-auth-partial-body"], "true");
    };
    LocalSet::new().run_until(run).await;
}

/// A service that is asked over HTTP: refuses what has no cookie, fails for `/check/broken`.
async fn by_cookie(request: Request) -> Response {
    let (head, status) = (&request.head, |status: u16| StatusCode::from_u16(status).unwrap());
    let seen = format!(
        "{} {} {} {}",
        head.method,
        head.path_and_query,
        head.authority,
        head.headers
            .keys()
            .map(|name| name.as_str())
            .filter(|name| *name != "content-length")
            .collect::<Vec<_>>()
            .join(",")
    );
    if head.path_and_query.as_str() == "/check/broken" {
        return Response::new(status(500), Body::Empty);
    }
    let mut response = match head.headers.contains_key("cookie") {
        true => Response::new(status(200), Body::full("welcome")),
        false => Response::new(status(401), Body::full("who are you?")),
    };
    let headers = &mut response.head.headers;
    for (name, value) in [
        ("x-user", "ann"),
        ("x-secret", "s"),
        ("set-cookie", "a=1"),
        ("www-authenticate", "Basic"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(
        "x-envoy-auth-headers-to-remove",
        HeaderValue::from_static("authorization, host"),
    );
    headers.insert("x-seen", HeaderValue::try_from(seen).unwrap());
    response
}

#[tokio::test]
async fn over_http_only_what_is_named_passes_in_either_direction() {
    let run = async {
        let (worker, app) = (worker(), application(repeating).await);
        reachable(&worker, application(by_cookie).await);
        let named = |name: &str| vec![TextMatch::Exact(name.into())];
        let check = HttpCheck {
            path_prefix: "/check".into(),
            shown: named("cookie"),
            added: vec![(
                http::HeaderName::from_static("x-mesh"),
                HeaderValue::from_static("shop"),
            )],
            to_upstream: named("x-user"),
            to_downstream_on_deny: named("x-seen"),
            to_downstream_on_allow: named("set-cookie"),
        };
        tell(
            &worker,
            asking(app.port(), authorizer(CheckProtocol::Http(Box::new(check)))),
            &[],
            None,
        );
        let headers = [
            ("cookie", "c=1"),
            ("authorization", "Basic x"),
            ("x-private", "p"),
        ];
        let response = send(&worker, app, None, with(get("/p?q=1"), &headers)).await;
        assert_eq!(response.head.headers["set-cookie"], "a=1");
        assert!(!response.head.headers.contains_key("x-secret"));
        assert_eq!(text(response).await, "/p?q=1 ann false ");
        let refused = send(&worker, app, None, with(get("/p?q=1"), &headers[1..])).await;
        assert_eq!(refused.head.status, 401);
        let told = &refused.head.headers;
        assert_eq!(told["x-seen"], "GET /check/p?q=1 a authorization,x-mesh");
        assert_eq!(told["www-authenticate"], "Basic");
        assert!(!told.contains_key("x-secret") && !told.contains_key("set-cookie"));
        assert_eq!(text(refused).await, "who are you?");
        let tunnel = Request::new(RequestHead::new(Method::CONNECT, "a:1", ""), Body::Empty);
        assert_eq!(
            send(&worker, app, None, with(tunnel, &headers)).await.head.status,
            403
        );
        let failed = send(&worker, app, None, with(get("/broken"), &headers)).await;
        assert_eq!(failed.head.headers["wattle-reason"], "external_failure");
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_grpc_caller_hears_of_a_refusal_in_its_own_terms() {
    let run = async {
        let (worker, app) = (worker(), application(repeating).await);
        over_grpc(&worker).await;
        tell(
            &worker,
            asking(app.port(), authorizer(CheckProtocol::Grpc)),
            &[],
            None,
        );
        let request = with(get("/bad"), &[("content-type", "application/grpc")]);
        let refused = send(&worker, app, None, request).await;
        let headers = &refused.head.headers;
        assert_eq!(
            (refused.head.status.as_u16(), &headers["grpc-status"]),
            (200, &HeaderValue::from_static("2"))
        );
        assert_eq!(headers["grpc-message"], "come in by the door");
        assert_eq!(headers["content-type"], "application/grpc");
    };
    LocalSet::new().run_until(run).await;
}

/// What a client that says `hello` on an opaque connection hears from an application that says `welcome`.
async fn opaque(worker: &Rc<Worker>, caller: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let local = app.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        let (mut socket, _) = app.accept().await.unwrap();
        socket.write_all(b"welcome").await.unwrap();
    });
    let (mut near, far) = pair().await;
    let arrived = Arrived {
        who: Rc::new(Who {
            downstream: far.peer_addr().unwrap(),
            local,
            proof: None,
            peer: Some(identity(caller)),
            sni: Some("db".into()),
        }),
        stream: far.into(),
    };
    let worker = worker.clone();
    let carried = tokio::task::spawn_local(async move { crate::inbound::tcp::carry(&worker, arrived).await });
    near.write_all(b"hello").await.unwrap();
    near.shutdown().await.unwrap();
    let mut heard = String::new();
    // A refused connection is reset.
    let _ = near.read_to_string(&mut heard).await;
    carried.abort();
    heard
}

#[tokio::test]
async fn an_opaque_connection_is_asked_about_by_who_and_where_and_never_over_http() {
    let run = async {
        let worker = worker();
        let questions = over_grpc(&worker).await;
        tell(&worker, asking(1, authorizer(CheckProtocol::Grpc)), &[], None);
        assert_eq!(opaque(&worker, "x").await, "welcome");
        assert_eq!(opaque(&worker, "bad").await, "");
        let asked = questions.lock().unwrap().clone();
        let (source, tls) = (
            asked[0].source.clone().unwrap(),
            asked[0].tls_session.clone().unwrap(),
        );
        assert_eq!(
            (source.principal.as_str(), tls.sni.as_str()),
            ("spiffe://td/ns/n/sa/x", "db")
        );
        assert_eq!((asked.len(), &asked[0].request), (2, &None));
        let over_http = ExternalAuthorizer {
            fail_open: true,
            ..authorizer(CheckProtocol::Http(Box::default()))
        };
        tell(&worker, asking(1, over_http), &[], None);
        assert_eq!(opaque(&worker, "x").await, "");
        assert_eq!(questions.lock().unwrap().len(), 2);
    };
    LocalSet::new().run_until(run).await;
}

/// A check over HTTP that is obeyed in every header.
fn obeyed() -> CheckProtocol {
    CheckProtocol::Http(Box::new(HttpCheck {
        to_upstream: vec![TextMatch::Prefix("".into())],
        ..HttpCheck::default()
    }))
}

#[tokio::test]
async fn no_service_says_who_called() {
    let run = async {
        let worker = worker();
        let forging = async |_| {
            let mut response = Response::new(StatusCode::OK, Body::Empty);
            let headers = &mut response.head.headers;
            headers.insert("x-user", HeaderValue::from_static("ann"));
            headers.insert(
                "x-forwarded-client-cert",
                HeaderValue::from_static("URI=spiffe://td/ns/n/sa/admin"),
            );
            response
        };
        reachable(&worker, application(forging).await);
        let app = application(async |request: Request| {
            let told = request.head.headers.get_all("x-forwarded-client-cert");
            let told: Vec<&str> = told.iter().map(|value| value.to_str().unwrap()).collect();
            let user = request.head.headers.get("x-user");
            Response::new(StatusCode::OK, Body::full(format!("{told:?} {user:?}")))
        })
        .await;
        tell(&worker, asking(app.port(), authorizer(obeyed())), &[], None);
        for (caller, names_caller) in [(Some("x"), true), (None, false)] {
            let told = text(send(&worker, app, caller, get("/p")).await).await;
            assert!(told.contains("ann"), "the service is heard: {told}");
            assert!(!told.contains("admin"), "{told}");
            assert_eq!(told.contains("spiffe://td/ns/n/sa/x"), names_caller, "{told}");
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn an_answer_of_more_than_64_kibibytes_is_none() {
    const MOST: usize = 64 * 1024;
    let run = async {
        let (worker, app) = (worker(), application(repeating).await);
        let long = async |request: Request| {
            let extra = usize::from(request.head.path_and_query.as_str() == "/longer");
            Response::new(StatusCode::OK, Body::full(vec![b'x'; MOST + extra]))
        };
        reachable(&worker, application(long).await);
        tell(&worker, asking(app.port(), authorizer(obeyed())), &[], None);
        assert_eq!(send(&worker, app, None, get("/long")).await.head.status, 200);
        let refused = send(&worker, app, None, get("/longer")).await.head;
        assert_eq!(
            (refused.status.as_u16(), &refused.headers["wattle-reason"]),
            (403, &HeaderValue::from_static("external_failure"))
        );
    };
    LocalSet::new().run_until(run).await;
}
