//! What would another set of policies have decided? Records of what was seen, asked of two meshes.
//!
//! Nothing is decided here: [`decided`] asks the model, once as if everything that a record does not hold spoke for letting
//! in and once as if it spoke against. Where both differ nothing is said, which [`compared`] lists.

mod decide;
mod known;
mod same;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::records::{Record, Then};
pub use decide::{Asked, Decided, Verdict, decided};

/// Most notes of the same kind that are given.
const MOST_NOTES: usize = 20;

/// What changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replay {
    /// Decisions that are another.
    pub changes: Vec<Change>,
    /// Decisions that may be another, which depends on what the records do not hold.
    pub untold: Vec<Change>,
    /// How many events were compared.
    pub compared: u64,
    /// How many of them the mesh as it is now decides otherwise than it was decided then.
    pub drifted: u64,
    /// How many ended before policies were asked.
    pub undecided: u64,
    /// What the comparison does not cover, one line each.
    pub notes: Vec<String>,
}

/// Events of one kind, with their decisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Principal of the caller, or `plaintext from ADDRESS`.
    pub caller: String,
    /// Called workload, `namespace/name`.
    pub workload: String,
    /// Its port, where it is known.
    pub port: Option<u16>,
    /// Method; `None` is a connection, or an edge of which it is not known.
    pub method: Option<String>,
    /// Path.
    pub path: Option<String>,
    /// The policy that decides in the candidate, else the one that decides now.
    pub policy: Option<String>,
    /// What was decided then.
    pub then: String,
    /// What the mesh as it is now decides; `None` when it was not asked.
    pub now: Option<String>,
    /// What the candidate decides.
    pub after: String,
    /// How often it was seen.
    pub count: u64,
}

/// A decision, as far as two are told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    LetIn,
    Refused,
    Unknown,
}

/// An answer for one record, or why there is none.
pub type Answer = Result<Decided, String>;

/// Compares the answers of the candidate with those of the mesh as it is now, or where that was not asked with those of
/// then. The lists of answers are in the order of the records.
pub fn compared(records: &[Record], now: Option<&[Answer]>, after: &[Answer]) -> Replay {
    let mut replay = Replay::default();
    let mut groups = (BTreeMap::new(), BTreeMap::new());
    for (at, record) in records.iter().enumerate() {
        let before = now.and_then(|now| now.get(at));
        let Some(after) = after.get(at) else { break };
        replay.take(record, before, after, &mut groups);
    }
    replay.changes = groups.0.into_values().collect();
    replay.untold = groups.1.into_values().collect();
    replay
}

/// Changes by what they are grouped by: those that are certain, and those that are not.
type Groups = (BTreeMap<String, Change>, BTreeMap<String, Change>);

impl Replay {
    /// True when nothing changes and nothing is left open.
    pub fn is_same(&self) -> bool {
        self.changes.is_empty() && self.untold.is_empty()
    }

    fn take(&mut self, record: &Record, now: Option<&Answer>, after: &Answer, groups: &mut Groups) {
        let then = match record.then() {
            Then::LetIn => Outcome::LetIn,
            Then::Refused => Outcome::Refused,
            Then::NotAsked => {
                self.undecided += record.count;
                return;
            }
        };
        if let (Some(Err(_)) | None, Err(error)) = (now, after) {
            self.note(format!("not compared: {error}"));
            return;
        }
        self.compared += record.count;
        let was = now.map_or(Outcome::Unknown, outcome);
        if was != Outcome::Unknown && was != then {
            self.drifted += record.count;
        }
        if same_rules(now, after) {
            return;
        }
        let was = if was == Outcome::Unknown { then } else { was };
        let group = match outcome(after) {
            Outcome::Unknown => &mut groups.1,
            is if is != was => &mut groups.0,
            _ => return,
        };
        let change = change(record, now, after);
        group
            .entry(key(&change))
            .and_modify(|known| known.count += record.count)
            .or_insert(change);
    }

    fn note(&mut self, note: String) {
        if self.notes.len() < MOST_NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

fn same_rules(now: Option<&Answer>, after: &Answer) -> bool {
    match (now, after) {
        (Some(Ok(now)), Ok(after)) => now.rules == after.rules,
        _ => false,
    }
}

fn outcome(answer: &Answer) -> Outcome {
    match answer.as_ref().map(|decided| &decided.verdict) {
        Ok(Verdict::LetIn { .. }) => Outcome::LetIn,
        Ok(Verdict::Refused { .. }) => Outcome::Refused,
        Ok(Verdict::CannotTell { .. }) | Err(_) => Outcome::Unknown,
    }
}

fn change(record: &Record, now: Option<&Answer>, after: &Answer) -> Change {
    let request = record.facts.request.as_ref();
    let answered = |answer: &Answer| answer.as_ref().ok().map(|decided| decided.workload.clone());
    let policy = |answer: &Answer| answer.as_ref().ok().and_then(|decided| decided.verdict.policy());
    Change {
        caller: record.caller(),
        workload: answered(after)
            .or_else(|| now.and_then(answered))
            .unwrap_or_else(|| record.facts.workload.clone()),
        port: record.port(),
        method: request.map(|request| request.method.clone()),
        path: request.map(|request| request.path.clone()),
        policy: policy(after).or_else(|| now.and_then(policy)),
        then: match record.then() {
            Then::LetIn => "let in".to_owned(),
            _ => format!("refused {}", record.facts.reason),
        },
        now: now.map(said),
        after: said(after),
        count: record.count,
    }
}

fn said(answer: &Answer) -> String {
    match answer {
        Ok(decided) => decided.verdict.to_string(),
        Err(error) => format!("cannot be told: {error}"),
    }
}

fn key(change: &Change) -> String {
    format!(
        "{} {} {:?} {:?} {:?} {:?} {} {}",
        change.workload,
        change.caller,
        change.port,
        change.method,
        change.path,
        change.policy,
        change.then,
        change.after
    )
}
