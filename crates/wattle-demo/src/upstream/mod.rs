//! Where another service is, and why it could not be asked.

mod client;

pub(crate) use client::{Answer, Client, Question};

use crate::settings::{Name, SettingsError};
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use wattle_http::{BodyError, SendErrorKind};

/// Another service of the shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upstream {
    pub(crate) name: Name,
    /// `host:port`.
    pub(crate) authority: String,
}

impl Upstream {
    /// Under its plain name and its usual port.
    pub(crate) fn usual(name: Name) -> Self {
        Self {
            name,
            authority: format!("{name}:{}", name.port()),
        }
    }

    /// From the variable `NAME_URL`, or as usual.
    pub(crate) fn read(name: Name, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let key = format!("{}_URL", name.as_str().to_ascii_uppercase());
        let Some(found) = variable(&key) else {
            return Ok(Self::usual(name));
        };
        let scheme = scheme(name);
        let authority = found
            .strip_prefix(scheme)
            .map(|rest| rest.strip_suffix('/').unwrap_or(rest));
        match authority.filter(|authority| is_authority(authority)) {
            Some(authority) => Ok(Self {
                name,
                authority: authority.to_owned(),
            }),
            None => {
                let expected = if scheme == "tcp://" {
                    "tcp://HOST:PORT"
                } else {
                    "http://HOST:PORT"
                };
                Err(SettingsError::Variable {
                    variable: key,
                    found,
                    expected,
                })
            }
        }
    }

    /// Opens a connection; the caller bounds the time.
    pub(crate) async fn connect(&self) -> Result<TcpStream, CallError> {
        let failed = |error| self.failed(Failure::Connect(error));
        let stream = TcpStream::connect(&self.authority).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(stream)
    }

    /// An error of a call to this service.
    pub(crate) fn failed(&self, failure: Failure) -> CallError {
        CallError {
            upstream: self.name,
            failure,
        }
    }
}

fn scheme(name: Name) -> &'static str {
    match name {
        Name::Ledger | Name::Greeter => "tcp://",
        _ => "http://",
    }
}

fn is_authority(text: &str) -> bool {
    let port = text
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u16>().ok());
    let parsed = text.parse::<http::uri::Authority>();
    port.is_some_and(|port| port > 0) && parsed.is_ok_and(|authority| !authority.host().is_empty())
}

/// A call to another service that came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{upstream}: {failure}")]
pub(crate) struct CallError {
    pub(crate) upstream: Name,
    pub(crate) failure: Failure,
}

/// Why. Displays the whole cause, since it becomes the text of a 502.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("{0}")]
    Send(SendErrorKind),
    #[error("{0}")]
    Body(BodyError),
    #[error("connection failed: {0}")]
    Io(io::Error),
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error("answered {status}: {text}")]
    Status { status: u16, text: String },
    #[error("answered with grpc-status {code}: {message}")]
    Grpc { code: u32, message: String },
    #[error("refused: {0}")]
    Refused(String),
    #[error("answered what cannot be read: {0}")]
    Unreadable(String),
}

/// At most this many characters of somebody else's text, on one line.
pub(crate) fn excerpt(text: &str, bound: usize) -> String {
    text.chars()
        .take(bound)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .trim()
        .to_owned()
}
