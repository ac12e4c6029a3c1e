//! Asking a part of a running mesh: JSON over HTTP/1.1, on a Unix socket or by TCP.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use tokio::net::{TcpStream, UnixStream};
use wattle_http::{Io, RequestHead, client_simple};

/// Largest answer, in bytes.
const MAX_ANSWER: usize = 64 << 20;

/// Longest part of a refusal that is repeated, in bytes.
const MAX_REFUSAL: usize = 2048;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for proofs and replays: bounded for each workload or record, not for all that are asked about.
const MUCH_PATIENCE: Duration = Duration::from_secs(120);

/// What was answered: status and body.
pub(crate) type Answer = (StatusCode, Bytes);

/// GETs a JSON value from a Unix socket.
pub(crate) async fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> anyhow::Result<T> {
    let (status, body) = unix(socket, Method::GET, path, Bytes::new()).await?;
    read(path, status, &body)
}

/// POSTs a JSON value to a Unix socket and reads the JSON answer.
pub(crate) async fn post<T: DeserializeOwned>(socket: &Path, path: &str, body: Bytes) -> anyhow::Result<T> {
    let (status, body) = unix(socket, Method::POST, path, body).await?;
    read(path, status, &body)
}

/// The same for a question that takes the other side long.
pub(crate) async fn post_patiently<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    body: Bytes,
) -> anyhow::Result<T> {
    let (status, body) = unix_within(socket, (Method::POST, path), body, MUCH_PATIENCE).await?;
    read(path, status, &body)
}

/// Sends one request to a Unix socket.
pub(crate) async fn unix(socket: &Path, method: Method, path: &str, body: Bytes) -> anyhow::Result<Answer> {
    unix_within(socket, (method, path), body, PATIENCE).await
}

async fn unix_within(
    socket: &Path,
    (method, path): (Method, &str),
    body: Bytes,
    patience: Duration,
) -> anyhow::Result<Answer> {
    let what = || format!("cannot ask {}", socket.display());
    let exchange = async {
        let stream = UnixStream::connect(socket).await?;
        exchange(stream, method, "wattle", path, body).await
    };
    in_time(patience, exchange).await.with_context(what)
}

/// Sends one GET by TCP, to be answered within `patience`.
pub(crate) async fn tcp(address: SocketAddr, path: &str, patience: Duration) -> anyhow::Result<Answer> {
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        exchange(stream, Method::GET, &address.to_string(), path, Bytes::new()).await
    };
    in_time(patience, exchange)
        .await
        .with_context(|| format!("cannot ask {address}"))
}

/// Sends one request on a stream.
pub(crate) async fn exchange(
    io: impl Io + 'static,
    method: Method,
    authority: &str,
    path: &str,
    body: Bytes,
) -> anyhow::Result<Answer> {
    let head = RequestHead::new(method, authority.to_owned(), path.to_owned());
    // The error holds the request, which cannot leave this thread: its sentences can.
    let fetched = client_simple::fetch(io, head, body, MAX_ANSWER)
        .await
        .map_err(|error| anyhow!(sentence(&error)))?;
    Ok((fetched.0.status, fetched.1))
}

fn sentence(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", sentence(cause)),
        None => error.to_string(),
    }
}

async fn in_time<T>(patience: Duration, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    match tokio::time::timeout(patience, work).await {
        Ok(result) => result,
        Err(_) => Err(anyhow!("no answer within {} s", patience.as_secs_f32())),
    }
}

fn read<T: DeserializeOwned>(path: &str, status: StatusCode, body: &[u8]) -> anyhow::Result<T> {
    if !status.is_success() {
        return Err(anyhow!("{path} was refused with {status}: {}", refusal(body)));
    }
    serde_json::from_slice(body).with_context(|| format!("cannot read the answer to {path}"))
}

/// The sentence of `{"error": "…"}`, or the text as it is.
pub(crate) fn refusal(body: &[u8]) -> String {
    let value: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let sentence = value.as_ref().and_then(|value| value.get("error")?.as_str());
    let bounded = &body[..body.len().min(MAX_REFUSAL)];
    sentence.map_or_else(
        || String::from_utf8_lossy(bounded).trim().to_owned(),
        str::to_owned,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_its_sentence() {
        let error = read::<()>("/x", StatusCode::NOT_FOUND, br#"{"error":"no such process"}"#);
        let sentence = error.map_err(|error| error.to_string());
        assert_eq!(
            sentence,
            Err("/x was refused with 404 Not Found: no such process".to_owned())
        );
        assert_eq!(refusal(b"plain\n"), "plain");
    }

    #[test]
    fn an_answer_of_another_shape_is_a_failure() {
        assert!(read::<u32>("/x", StatusCode::OK, b"[]").is_err());
        assert_eq!(read::<u32>("/x", StatusCode::OK, b"7").ok(), Some(7));
    }
}
