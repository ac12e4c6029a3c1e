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

/// Notes a request and waits as long as it asks for; gives the status it asks for, 200 without.
pub(super) fn follow(headers: &[(String, String)], answer: &Value) -> u16 {
    let value = |wanted: &str| {
        let mut headers = headers.iter();
        headers
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| &**value)
    };
    // A mirrored request is noted, and plays no part in what the others are answered.
    if value("host").is_some_and(|host| host.ends_with("-shadow")) {
        let _ = value("x-echo-key").map(|key| note(key, answer));
        return 200;
    }
    let number = value("x-echo-key").map_or(0, |key| note(key, answer));
    let delay = value("x-echo-delay").and_then(|text| text.parse().ok());
    if let Some(delay) = delay.map(Duration::from_millis) {
        // Nobody ever says anything here: a wait that is part of the answer.
        let (_open, never) = std::sync::mpsc::channel::<()>();
        let _ = never.recv_timeout(delay.min(MAX_DELAY));
    }
    let statuses = value("x-echo-status").unwrap_or("200");
    let statuses: Vec<u16> = statuses
        .split(',')
        .filter_map(|text| text.trim().parse().ok())
        .collect();
    let own = statuses.get(number).or(statuses.last());
    own.copied().unwrap_or(200)
}

/// How many were noted under the key for the same server before.
fn note(key: &str, answer: &Value) -> usize {
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    let all = asked.entry(key.to_owned()).or_default();
    let is_copy = |one: &Value| one["headers"].to_string().contains("-shadow\"]");
    let same = all
        .iter()
        .filter(|other| other["name"] == answer["name"] && !is_copy(other));
    let before = same.count();
    all.push(answer.clone());
    before
}
