//! How a request wants to be answered.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// Longest delay that a request may ask for.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// What was asked with a key, in order.
static ASKED: Mutex<BTreeMap<String, Vec<Value>>> = Mutex::new(BTreeMap::new());

pub(super) fn asked(key: &str) -> Vec<Value> {
    let asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    asked.get(key).cloned().unwrap_or_default()
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    /// The status; nothing if it names none.
    pub(crate) status: Option<u16>,
    /// How long to wait before the answer.
    pub(crate) delay: Duration,
}

/// Notes a request, and gives what it asks for.
pub(crate) fn wish(headers: &[(String, String)], answer: &Value) -> Wish {
    let value = |wanted: &str| {
        let mut headers = headers.iter();
        headers
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| &**value)
    };
    // A mirrored request is noted, and plays no part in what the others are answered.
    if value("host").is_some_and(is_shadow) {
        let _ = value("x-echo-key").map(|key| note(key, answer));
        return Wish {
            status: None,
            delay: Duration::ZERO,
        };
    }
    let number = value("x-echo-key").map_or(0, |key| note(key, answer));
    let delay = value("x-echo-delay").and_then(|text| text.parse().ok());
    let delay = delay.map_or(Duration::ZERO, Duration::from_millis).min(MAX_DELAY);
    let statuses = value("x-echo-status").unwrap_or_default();
    let statuses: Vec<u16> = statuses
        .split(',')
        .filter_map(|text| text.trim().parse().ok())
        .collect();
    let status = statuses.get(number).or(statuses.last()).copied();
    Wish { status, delay }
}

/// Whether a host is that of a copy, with a port or without.
fn is_shadow(host: &str) -> bool {
    host.split(':')
        .next()
        .is_some_and(|name| name.ends_with("-shadow"))
}

/// How many were noted under the key for the same server before.
fn note(key: &str, answer: &Value) -> usize {
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    let all = asked.entry(key.to_owned()).or_default();
    let is_copy = |one: &Value| {
        let mut headers = one["headers"].as_array().into_iter().flatten();
        headers.any(|pair| pair[0] == "host" && pair[1].as_str().is_some_and(is_shadow))
    };
    let same = all
        .iter()
        .filter(|other| other["name"] == answer["name"] && !is_copy(other));
    let before = same.count();
    all.push(answer.clone());
    before
}
