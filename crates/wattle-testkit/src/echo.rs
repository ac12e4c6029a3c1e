//! A plain HTTP/1.1 server on blocking sockets that tells who it is and what it was asked.

pub(crate) mod script;

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::{Spot, calls};

/// A running echo; it serves until the test process ends.
#[derive(Clone, Debug)]
pub struct Echo {
    /// Where it listens.
    pub address: SocketAddr,
    requests: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
}

/// What a server does with a connection that it has answered on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Waits for the next request and answers it.
    Patient,
    /// Closes when the next request comes, without reading it or after reading it, by turns.
    Curt,
}

impl Echo {
    /// Starts one at a workload's place, on all of its addresses. It answers with JSON: `name`, `method`, `target`,
    /// `headers` (list of pairs as they came), `body_bytes` (of a body with a length). A request may say how it is to be answered:
    ///
    /// - `x-echo-key: K`: it counts under `K`, see [`Echo::asked`];
    /// - `x-echo-status: 503,503,200`: the status of this server's first, second … answer to the key, the last one for the rest;
    /// - `x-echo-delay: 400`: milliseconds before the answer.
    pub fn start(spot: &Spot, port: u16, name: &str) -> io::Result<Self> {
        Self::with(spot, port, name, Manner::Patient)
    }

    /// Starts one at a place, on one of its addresses.
    pub fn start_at(spot: &Spot, address: SocketAddr, name: &str) -> io::Result<Self> {
        let listener = spot.enter(|| TcpListener::bind(address))?;
        Self::serve(listener, name, Manner::Patient)
    }

    /// Starts one where the test itself runs, on a port that is free.
    pub fn start_here(name: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
        Self::serve(listener, name, Manner::Patient)
    }

    /// Starts one that promises to keep connections, and closes each when a second request comes on it.
    pub fn start_curt(spot: &Spot, port: u16, name: &str) -> io::Result<Self> {
        Self::with(spot, port, name, Manner::Curt)
    }

    /// Starts one that speaks gRPC over HTTP/2 without TLS. It answers likewise, with the statuses of gRPC in
    /// `x-echo-status` (`14,0`), and with a message of no bytes where the status is 0.
    pub fn start_calls(spot: &Spot, port: u16, name: &str) -> io::Result<Self> {
        let listener = spot.enter(|| TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, port)))?;
        Self::served(listener, name, |stream, name, requests| {
            calls::converse(stream, name, requests)
        })
    }

    fn with(spot: &Spot, port: u16, name: &str, manner: Manner) -> io::Result<Self> {
        let listener = spot.enter(|| TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, port)))?;
        Self::serve(listener, name, manner)
    }

    fn serve(listener: TcpListener, name: &str, manner: Manner) -> io::Result<Self> {
        Self::served(listener, name, move |stream, name, requests| {
            converse(stream, name, requests, manner)
        })
    }

    fn served(
        listener: TcpListener,
        name: &str,
        converse: impl Fn(TcpStream, &str, &AtomicU64) -> io::Result<()> + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let requests = Arc::new(AtomicU64::new(0));
        let echo = Self {
            address: listener.local_addr()?,
            requests: requests.clone(),
            connections: Arc::default(),
        };
        let connections = echo.connections.clone();
        let name = name.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                connections.fetch_add(1, Ordering::Relaxed);
                let (name, requests, converse) = (name.clone(), requests.clone(), converse.clone());
                // Whoever breaks off a conversation has ended it.
                std::thread::spawn(move || drop(converse(stream, &name, &requests)));
            }
        });
        Ok(echo)
    }

    /// What the servers of this process were asked with a key, in order, each as it was or would have been answered.
    #[must_use]
    pub fn asked(key: &str) -> Vec<Value> {
        script::asked(key)
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Requests answered so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

fn converse(stream: TcpStream, name: &str, requests: &AtomicU64, manner: Manner) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(asked) = hear(&mut reader)? {
        let answered = requests.fetch_add(1, Ordering::Relaxed);
        let body = json!({
            "name": name, "method": asked.method, "target": asked.target, "headers": asked.headers,
            "body_bytes": asked.body_bytes,
        });
        let wish = script::wish(&asked.headers, &body);
        if !wish.delay.is_zero() {
            // Nobody ever says anything here: a wait that is part of the answer.
            let (_open, never) = std::sync::mpsc::channel::<()>();
            let _ = never.recv_timeout(wish.delay);
        }
        let status = wish.status.unwrap_or(200);
        let body = if asked.method == "HEAD" {
            String::new()
        } else {
            body.to_string()
        };
        let head = format!(
            "HTTP/1.1 {status} Echo\r\nContent-Type: application/json\r\nX-Served-By: {name}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        writer.write_all(format!("{head}{body}").as_bytes())?;
        if manner == Manner::Curt {
            // Bytes left unread make the kernel reset the connection; bytes read let it end in order.
            let _ = if answered.is_multiple_of(2) {
                writer.peek(&mut [0])?
            } else {
                reader.fill_buf()?.len()
            };
            return Ok(());
        }
    }
    Ok(())
}

struct Asked {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body_bytes: u64,
}

fn hear(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Asked>> {
    let first = line(reader)?;
    if first.is_empty() {
        return Ok(None);
    }
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let line = line(reader)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.parse().ok());
    let body_bytes = io::copy(&mut reader.by_ref().take(length.unwrap_or(0)), &mut io::sink())?;
    Ok(Some(Asked {
        method,
        target,
        headers,
        body_bytes,
    }))
}

fn line(reader: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    reader.by_ref().take(64 * 1024).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}
