//! Services that say who may in: one that speaks Envoy's protocol, one that is asked over HTTP.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};
use wattle_testkit::Spot;
use wattle_wire::proto::external_auth::authorization_server::{Authorization, AuthorizationServer};
use wattle_wire::proto::external_auth::check_response::{self, HttpResponse};
use wattle_wire::proto::external_auth::denied_http_response::HttpStatus;
use wattle_wire::proto::external_auth::{
    CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValue, HeaderValueOption, OkHttpResponse,
};

fn listener(spot: &Spot, port: u16) -> TcpListener {
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    spot.enter(|| TcpListener::bind(address)).unwrap()
}

/// Refuses what goes to `/checked/deny`, says nothing of `/checked/silent`, lets in the rest as the user `ann`.
struct OverGrpc;

fn header(key: &str, value: &str) -> HeaderValueOption {
    let (key, value) = (key.to_owned(), value.to_owned());
    HeaderValueOption {
        header: Some(HeaderValue {
            key,
            value,
            raw_value: Vec::new(),
        }),
        ..HeaderValueOption::default()
    }
}

#[tonic::async_trait]
impl Authorization for OverGrpc {
    async fn check(&self, asked: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let attributes = asked.into_inner().attributes.unwrap_or_default();
        let http = attributes.request.and_then(|request| request.http);
        let path = http.map(|http| http.path).unwrap_or_default();
        if path.starts_with("/checked/silent") {
            std::future::pending::<()>().await;
        }
        let caller = attributes.source.unwrap_or_default().principal;
        let (code, said) = match path.starts_with("/checked/deny") {
            true => (
                7,
                HttpResponse::DeniedResponse(DeniedHttpResponse {
                    status: Some(HttpStatus { code: 401 }),
                    headers: vec![header("x-denied", &caller)],
                    body: "not today".to_owned(),
                }),
            ),
            false => (
                0,
                HttpResponse::OkResponse(OkHttpResponse {
                    headers: vec![header("x-user", "ann")],
                    headers_to_remove: vec!["authorization".to_owned()],
                    response_headers_to_add: vec![header("x-checked", "yes")],
                    ..OkHttpResponse::default()
                }),
            ),
        };
        Ok(Response::new(CheckResponse {
            status: Some(check_response::Status { code }),
            http_response: Some(said),
        }))
    }
}

/// Starts the one that is asked over gRPC; it ends with the test.
pub(crate) fn over_grpc(spot: &Spot, port: u16) {
    let listener = listener(spot, port);
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let incoming = TcpListenerStream::new(tokio::net::TcpListener::from_std(listener).unwrap());
            let server = tonic::transport::Server::builder().add_service(AuthorizationServer::new(OverGrpc));
            server.serve_with_incoming(incoming).await.unwrap();
        });
    });
}

/// Starts the one that is asked over HTTP: it lets in whoever has a cookie.
pub(crate) fn over_http(spot: &Spot, port: u16) {
    let listener = listener(spot, port);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answers(stream));
        }
    });
}

fn answers(stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut stream = stream;
    loop {
        let head: Vec<String> = lines
            .by_ref()
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .collect();
        let Some(first) = head.first() else { return };
        let has = |name: &str| {
            head.iter()
                .any(|line| line.to_ascii_lowercase().starts_with(name))
        };
        let known = has("cookie:");
        let status = if known { "200 OK" } else { "403 Forbidden" };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: 3\r\nx-user: bob\r\nx-secret: s\r\nx-asked: {first} {}\r\n\r\nwho",
            has("x-private")
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
