//! Calls of gRPC over HTTP/2 without TLS: the client's side, and the server's of [`Echo`](crate::Echo).

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Method, Version};
use serde_json::json;

use crate::echo::script;
use crate::{Answer, Request};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// A message of no bytes: not compressed, length zero.
const EMPTY: Bytes = Bytes::from_static(&[0; 5]);

/// One call, with a message of no bytes, on a connection of its own.
///
/// # Errors
/// When there is no answer: the connection or the stream ends before.
pub fn call(address: SocketAddr, request: &Request) -> io::Result<Answer> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    runtime()?.block_on(async {
        let answered = tokio::time::timeout(PATIENCE, exchange(stream, request));
        answered.await.map_err(io::Error::other)?
    })
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn taken(stream: TcpStream) -> io::Result<tokio::net::TcpStream> {
    stream.set_nonblocking(true)?;
    tokio::net::TcpStream::from_std(stream)
}

async fn exchange(stream: TcpStream, request: &Request) -> io::Result<Answer> {
    let (client, connection) = h2::client::handshake(taken(stream)?)
        .await
        .map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let answered = ask(client, request).await;
    driver.abort();
    answered
}

async fn ask(client: h2::client::SendRequest<Bytes>, request: &Request) -> io::Result<Answer> {
    let uri = format!("http://{}{}", request.host, request.target);
    let mut head = http::Request::builder()
        .method(Method::POST)
        .version(Version::HTTP_2)
        .uri(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in &request.headers {
        head = head.header(name, value);
    }
    let head = head.body(()).map_err(io::Error::other)?;
    let mut client = client.ready().await.map_err(io::Error::other)?;
    let (response, mut body) = client.send_request(head, false).map_err(io::Error::other)?;
    // Whoever answers early may have ended the stream already.
    let _ = body.send_data(EMPTY, true);
    let (head, mut body) = response.await.map_err(io::Error::other)?.into_parts();
    let mut answer = Answer {
        status: head.status.as_u16(),
        headers: pairs(&head.headers),
        ..Answer::default()
    };
    while let Some(part) = body.data().await {
        let part = part.map_err(io::Error::other)?;
        let _ = body.flow_control().release_capacity(part.len());
        answer.body.extend_from_slice(&part);
    }
    let trailers = body.trailers().await.map_err(io::Error::other)?;
    answer.trailers = trailers.as_ref().map(pairs).unwrap_or_default();
    Ok(answer)
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}

/// Answers the calls of one connection until it ends.
pub(crate) fn converse(stream: TcpStream, name: &str, calls: &AtomicU64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let name: Arc<str> = name.into();
    runtime()?.block_on(async {
        let mut connection = h2::server::handshake(taken(stream)?)
            .await
            .map_err(io::Error::other)?;
        while let Some(next) = connection.accept().await {
            let (request, respond) = next.map_err(io::Error::other)?;
            calls.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(answer(request, respond, name.clone()));
        }
        Ok(())
    })
}

async fn answer(
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    name: Arc<str>,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let mut headers = pairs(&head.headers);
    if let Some(authority) = head.uri.authority() {
        headers.push(("host".to_owned(), authority.to_string()));
    }
    let asked = json!({ "name": *name, "method": head.method.as_str(), "target": head.uri.path(), "headers": headers });
    let wish = script::wish(&headers, &asked);
    while let Some(part) = body.data().await {
        let _ = body.flow_control().release_capacity(part?.len());
    }
    tokio::time::sleep(wish.delay).await;
    let status = wish.status.unwrap_or(0);
    let mut response = http::Response::builder()
        .header("content-type", "application/grpc")
        .header("x-served-by", &*name);
    if status != 0 {
        // An error without a message is told in the head, as gRPC servers do.
        response = response.header("grpc-status", status);
    }
    let Ok(response) = response.body(()) else {
        return Ok(());
    };
    let mut stream = respond.send_response(response, status != 0)?;
    if status == 0 {
        stream.send_data(EMPTY, false)?;
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        stream.send_trailers(trailers)?;
    }
    Ok(())
}
