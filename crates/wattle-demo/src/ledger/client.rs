//! Asking the ledger: one connection per question at a time, kept in between.

use super::{Command, Lines, Outcome};
use crate::upstream::{CallError, Failure, Upstream};
use std::cell::RefCell;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Connections kept while idle.
const MAX_IDLE: usize = 32;

/// Asks one ledger.
#[derive(Debug)]
pub(crate) struct Client {
    upstream: Upstream,
    timeout: Duration,
    idle: RefCell<Vec<Connection>>,
}

#[derive(Debug)]
struct Connection {
    lines: Lines<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Client {
    pub(crate) fn new(upstream: Upstream, timeout: Duration) -> Self {
        Self {
            upstream,
            timeout,
            idle: RefCell::default(),
        }
    }

    /// Asks; every command may be repeated, so one that met a closed connection is.
    pub(crate) async fn ask(&self, command: &Command<'_>) -> Result<Outcome, CallError> {
        let outcome = tokio::time::timeout(self.timeout, self.exchange(command)).await;
        match outcome.unwrap_or(Err(Failure::Timeout(self.timeout))) {
            Ok(Outcome::Refused(reason)) => Err(self.upstream.failed(Failure::Refused(reason))),
            Ok(outcome) => Ok(outcome),
            Err(failure) => Err(self.upstream.failed(failure)),
        }
    }

    async fn exchange(&self, command: &Command<'_>) -> Result<Outcome, Failure> {
        let line = command.line();
        let kept = self.idle.borrow_mut().pop();
        if let Some(kept) = kept
            && let Ok(outcome) = self.over(kept, &line).await
        {
            return Ok(outcome);
        }
        let stream = self.upstream.connect().await.map_err(|error| error.failure)?;
        self.over(Connection::new(stream), &line).await
    }

    async fn over(&self, mut connection: Connection, line: &str) -> Result<Outcome, Failure> {
        let answer = connection.ask(line).await.map_err(Failure::Io)?;
        let outcome = Outcome::parse(&answer).ok_or(Failure::Unreadable(answer))?;
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
        Ok(outcome)
    }
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self {
            lines: Lines::of(read),
            write,
        }
    }

    async fn ask(&mut self, line: &str) -> io::Result<String> {
        self.write.write_all(line.as_bytes()).await?;
        self.lines
            .next()
            .await?
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
