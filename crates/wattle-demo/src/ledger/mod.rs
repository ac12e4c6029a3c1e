//! The ledger's line protocol: a client asks a line, the server answers a line.
//!
//! `PING` is answered `PONG`; `SET key value` is answered `OK`; `GET key` is answered `VALUE value` or `NONE`; what cannot
//! be done is answered `ERR reason`. Lines end in LF, keys have no space, values have no line end.

mod client;
mod line;
mod store;

pub(crate) use client::Client;
pub(crate) use line::Lines;
pub(crate) use store::Store;

/// A line that was asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    Ping,
    Set { key: &'a str, value: &'a str },
    Get { key: &'a str },
}

/// A line that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Pong,
    Ok,
    Value(String),
    None,
    Refused(String),
}

impl<'a> Command<'a> {
    /// Reads a line without its end.
    pub(crate) fn parse(line: &'a str) -> Result<Self, &'static str> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "PING" if rest.is_empty() => Ok(Command::Ping),
            "GET" => Ok(Command::Get { key: key(rest)? }),
            "SET" => {
                let (name, value) = rest.split_once(' ').ok_or("SET wants a key and a value")?;
                Ok(Command::Set {
                    key: key(name)?,
                    value,
                })
            }
            _ => Err("expected PING, GET key or SET key value"),
        }
    }

    pub(crate) fn line(&self) -> String {
        match self {
            Command::Ping => "PING\n".to_owned(),
            Command::Set { key, value } => format!("SET {key} {value}\n"),
            Command::Get { key } => format!("GET {key}\n"),
        }
    }
}

fn key(text: &str) -> Result<&str, &'static str> {
    let plain = !text.is_empty() && text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_graphic());
    plain
        .then_some(text)
        .ok_or("a key is 1 to 128 visible characters")
}

impl Outcome {
    /// Reads a line without its end.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        Some(match verb {
            "PONG" => Outcome::Pong,
            "OK" => Outcome::Ok,
            "VALUE" => Outcome::Value(rest.to_owned()),
            "NONE" => Outcome::None,
            "ERR" => Outcome::Refused(rest.to_owned()),
            _ => return None,
        })
    }

    pub(crate) fn line(&self) -> String {
        match self {
            Outcome::Pong => "PONG\n".to_owned(),
            Outcome::Ok => "OK\n".to_owned(),
            Outcome::Value(value) => format!("VALUE {value}\n"),
            Outcome::None => "NONE\n".to_owned(),
            Outcome::Refused(reason) => format!("ERR {reason}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn commands_come_back_as_they_were_written() {
        let commands = [
            Command::Ping,
            Command::Get { key: "cart/ann" },
            Command::Set {
                key: "k",
                value: "several words, {\"and\": json}",
            },
            Command::Set { key: "k", value: "" },
        ];
        for command in commands {
            assert_eq!(Command::parse(command.line().trim_end_matches('\n')), Ok(command));
        }
    }

    #[test]
    fn outcomes_come_back_as_they_were_written() {
        let value = Outcome::Value("two words".to_owned());
        for outcome in [
            Outcome::Pong,
            Outcome::Ok,
            value,
            Outcome::None,
            Outcome::Refused("full".to_owned()),
        ] {
            assert_eq!(Outcome::parse(outcome.line().trim_end()), Some(outcome));
        }
        assert_eq!(Outcome::parse("HTTP/1.1 403 Forbidden"), None);
    }

    #[test]
    fn other_lines_are_refused() {
        let long = format!("GET {}", "k".repeat(129));
        for line in [
            "",
            "PING me",
            "get k",
            "GET",
            "GET ",
            "GET a b",
            "SET k",
            "SET  v",
            "SET \u{7} v",
            "GET ü",
            &long,
        ] {
            assert!(Command::parse(line).is_err(), "{line:?}");
        }
    }
}
