//! `greeter`: a banner first, then a greeting for each name, over TCP, as SMTP and MariaDB do: the server speaks first.

use crate::ledger::Lines;
use crate::serve::accept;
use crate::upstream::{CallError, Failure, Upstream, excerpt};
use std::future::{Future, poll_fn};
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use wattle_http::Drain;

/// How long a visitor may think.
const PATIENCE: Duration = Duration::from_secs(60);

/// Serves greetings until `stop`.
pub(crate) async fn greet(listener: TcpListener, signature: &str, stop: impl Future<Output = ()>) {
    let connection = |stream, drain| {
        let serving = serve(stream, signature.to_owned(), drain);
        async move {
            if let Err(error) = serving.await {
                tracing::debug!(%error, "connection ended in disorder");
            }
        }
    };
    accept(listener, connection, stop).await;
}

async fn serve(mut stream: TcpStream, signature: String, drain: Drain) -> io::Result<()> {
    stream
        .write_all(format!("220 {signature} ready\n").as_bytes())
        .await?;
    let (read, mut write) = stream.split();
    let mut lines = Lines::of(read);
    loop {
        let line = tokio::select! {
            biased;
            line = lines.next() => line?,
            () = poll_fn(|cx| drain.poll_draining(cx)) => None,
            () = tokio::time::sleep(PATIENCE) => None,
        };
        match line.as_deref() {
            None => return Ok(()),
            Some("QUIT") => return write.write_all(b"221 bye\n").await,
            Some(name) => {
                let greeting = format!("250 welcome to the shop, {}\n", excerpt(name, 64));
                write.write_all(greeting.as_bytes()).await?;
            }
        }
    }
}

/// Asks for a greeting.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) upstream: Upstream,
    pub(super) timeout: Duration,
}

/// A greeting, and who gave it.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) signature: String,
    pub(super) text: String,
}

impl Client {
    pub(super) async fn greeting(&self, name: &str) -> Result<Greeting, CallError> {
        let greeting = tokio::time::timeout(self.timeout, self.exchange(name)).await;
        let greeting = greeting.unwrap_or(Err(Failure::Timeout(self.timeout)));
        greeting.map_err(|failure| self.upstream.failed(failure))
    }

    async fn exchange(&self, name: &str) -> Result<Greeting, Failure> {
        let mut stream = self.upstream.connect().await.map_err(|error| error.failure)?;
        let (read, mut write) = stream.split();
        let mut lines = Lines::of(read);
        let banner = answer(&mut lines, "220 ").await?;
        let signature = banner.split(' ').next().unwrap_or_default().to_owned();
        write
            .write_all(format!("{name}\n").as_bytes())
            .await
            .map_err(Failure::Io)?;
        let text = answer(&mut lines, "250 ").await?;
        write.write_all(b"QUIT\n").await.map_err(Failure::Io)?;
        answer(&mut lines, "221 ").await?;
        Ok(Greeting { signature, text })
    }
}

async fn answer<R: tokio::io::AsyncRead + Unpin>(
    lines: &mut Lines<R>,
    code: &str,
) -> Result<String, Failure> {
    let line = lines.next().await.map_err(Failure::Io)?;
    let line = line.ok_or_else(|| Failure::Io(io::ErrorKind::UnexpectedEof.into()))?;
    match line.strip_prefix(code) {
        Some(text) => Ok(text.to_owned()),
        None => Err(Failure::Unreadable(excerpt(&line, 160))),
    }
}
