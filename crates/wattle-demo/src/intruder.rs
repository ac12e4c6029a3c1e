//! The intruder: a workload like any other that calls what it may not, once a second, and notes what it is told.

use crate::ledger::{self, Command};
use crate::settings::{Name, Settings};
use crate::upstream::{CallError, Client, Question, excerpt};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often it tries.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// What the intruder got so far; one JSON object a line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intrusion {
    /// One entry for each thing it tries, always in the same order.
    pub attempts: Vec<Attempt>,
}

/// One thing the intruder tries again and again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The service it calls.
    pub destination: String,
    /// Method, or the command of the line protocol.
    pub method: String,
    /// What it calls.
    pub url: String,
    /// How often it was tried.
    pub tries: u64,
    /// How often it was let in: a status below 400, or an answer by the protocol.
    pub let_in: u64,
    /// The last HTTP status; `None` where there was none.
    pub status: Option<u16>,
    /// Why, as the last answer's `wattle-reason` says; `None` where it did not say.
    pub reason: Option<String>,
    /// The last answer's text, or how the connection failed.
    pub text: String,
}

impl Intrusion {
    /// The attempt on a service.
    pub fn on(&self, destination: &str) -> Option<&Attempt> {
        self.attempts
            .iter()
            .find(|attempt| attempt.destination == destination)
    }
}

impl Attempt {
    fn new(destination: Name, method: &str, url: String) -> Self {
        Self {
            destination: destination.to_string(),
            method: method.to_owned(),
            url,
            ..Self::default()
        }
    }

    /// Notes how a try ended: status, reason and text, or how it failed.
    fn note(&mut self, let_in: bool, status: Option<u16>, reason: Option<String>, text: &str) {
        self.tries += 1;
        self.let_in += u64::from(let_in);
        self.status = status;
        self.reason = reason;
        self.text = excerpt(text, 240);
    }
}

/// Paths that the intruder asks for over HTTP.
const TARGETS: [(Name, &str); 2] = [(Name::Cart, "/cart/visitor-1"), (Name::Catalog, "/products")];

/// Tries until `stop`, telling after each round.
pub(crate) async fn intrude(
    settings: &Settings,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(&Intrusion),
) {
    let mut intrusion = Intrusion::default();
    let mut doors = Vec::new();
    for (name, path) in TARGETS {
        let upstream = settings.upstream(name);
        let url = format!("http://{}{path}", upstream.authority);
        intrusion.attempts.push(Attempt::new(name, "GET", url));
        doors.push((Client::new(upstream, settings.timeout), path));
    }
    let upstream = settings.upstream(Name::Ledger);
    let url = format!("tcp://{}", upstream.authority);
    intrusion.attempts.push(Attempt::new(Name::Ledger, "PING", url));
    let ledger = ledger::Client::new(upstream, settings.timeout);
    let mut turns = interval(TRY_EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = pin!(stop);
    loop {
        let round = async {
            turns.tick().await;
            attempt_all(&mut intrusion, &doors, &ledger).await;
        };
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = round => tell(&intrusion),
        }
    }
    tell(&intrusion);
}

async fn attempt_all(intrusion: &mut Intrusion, doors: &[(Client, &'static str)], ledger: &ledger::Client) {
    let Some((last, others)) = intrusion.attempts.split_last_mut() else {
        return;
    };
    for (attempt, (client, path)) in others.iter_mut().zip(doors) {
        match client.ask(Question::of(*path, &HeaderMap::new())).await {
            Ok(answer) => {
                let let_in = answer.status.as_u16() < 400;
                attempt.note(
                    let_in,
                    Some(answer.status.as_u16()),
                    answer.reason(),
                    &String::from_utf8_lossy(&answer.body),
                );
            }
            Err(error) => failed(attempt, &error),
        }
    }
    match ledger.ask(&Command::Ping).await {
        Ok(_) => last.note(true, None, None, "PONG"),
        Err(error) => failed(last, &error),
    }
}

fn failed(attempt: &mut Attempt, error: &CallError) {
    attempt.note(false, None, None, &error.to_string());
}
