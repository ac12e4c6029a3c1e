//! What was seen of requests and connections on the way in, as facts of decisions: refusals that proxies keep, lines of
//! their access logs, edges that they count.
//!
//! Nothing is decided here. What a record does not hold is said by where it comes from ([`Known`]), so that nobody takes it
//! for absent.

mod edge;
mod line;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use wattle_model::Reason;
use wattle_telemetry::Refusal;

pub use edge::of_edge;
pub use line::{LineError, of_line};

/// Something that was seen, once or several times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What was seen, with the answer of then; an empty reason is that it was let in.
    pub facts: Refusal,
    /// How much of it is known.
    pub known: Known,
    /// How often.
    pub count: u64,
}

/// Where a record comes from, and so how much it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Known {
    /// A proxy's memory of a refusal: all but values that no policy compared then, and the query.
    Kept,
    /// A line of the access log: no headers, no token, no query.
    Line,
    /// An edge of the metrics: who called whom, and nothing else.
    Edge,
}

impl From<Refusal> for Record {
    fn from(facts: Refusal) -> Self {
        Self {
            facts,
            known: Known::Kept,
            count: 1,
        }
    }
}

/// What policies had to do with how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// They let it in, whatever became of it.
    LetIn,
    /// They refused it.
    Refused,
    /// It ended before they were asked.
    NotAsked,
}

impl Record {
    /// What was decided then.
    pub fn then(&self) -> Then {
        let reason = self.facts.reason.as_str();
        if reason.is_empty() {
            return Then::LetIn;
        }
        match Reason::from_id(reason) {
            Some(Reason::PolicyDenied | Reason::PolicyNotAllowed | Reason::MtlsRequired) => Then::Refused,
            Some(
                Reason::RateLimited
                | Reason::RateLimitServiceFailure
                | Reason::Overload
                | Reason::RequestBodyBroken
                | Reason::RequestBodyTimeout
                | Reason::RequestTimeout
                | Reason::IdleTimeout
                | Reason::UpstreamConnectFailure
                | Reason::UpstreamConnectTimeout
                | Reason::UpstreamResetBeforeResponse
                | Reason::UpstreamRefusedStream
                | Reason::UpstreamProtocolError,
            ) => Then::LetIn,
            _ => Then::NotAsked,
        }
    }

    /// Who called, in words.
    pub fn caller(&self) -> String {
        match &self.facts.peer {
            Some(peer) => peer.strip_prefix("spiffe://").unwrap_or(peer).to_owned(),
            None if self.known == Known::Edge => "plaintext".to_owned(),
            None => format!("plaintext from {}", self.facts.downstream.ip()),
        }
    }

    /// The port that was dialled, where that is known.
    pub fn port(&self) -> Option<u16> {
        Some(self.facts.local.port()).filter(|port| *port != 0)
    }
}

/// Records that nothing tells apart become one, in order; at most `most` of them, and how many were left out.
pub fn gathered(records: impl IntoIterator<Item = Record>, most: usize) -> (Vec<Record>, u64) {
    let mut places: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    let mut all: Vec<Record> = Vec::new();
    let mut left_out = 0;
    for record in records {
        let key = told_apart_by(&record);
        match places.get(&key) {
            Some(place) => all[*place].count += record.count,
            None if all.len() == most => left_out += record.count,
            None => {
                places.insert(key, all.len());
                all.push(record);
            }
        }
    }
    (all, left_out)
}

/// Everything but what names this one event.
fn told_apart_by(record: &Record) -> String {
    let facts = &record.facts;
    format!(
        "{:?} {} {} {} {:?} {} {} {:?} {:?}",
        record.known,
        facts.reason,
        facts.workload,
        facts.instance,
        facts.peer,
        facts.downstream.ip(),
        facts.local,
        facts.sni,
        facts.request
    )
}
