//! What the ledger holds: a bounded map in memory.

use super::{Command, Outcome};
use std::collections::HashMap;

/// Most keys.
const MAX_KEYS: usize = 10_000;
/// Most bytes of a value.
const MAX_VALUE_BYTES: usize = 4 * 1024;

/// Keys and their values.
#[derive(Debug, Default)]
pub(crate) struct Store(HashMap<String, String>);

impl Store {
    /// Does what a line asks.
    pub(crate) fn answer(&mut self, line: &str) -> Outcome {
        match Command::parse(line) {
            Ok(Command::Ping) => Outcome::Pong,
            Ok(Command::Get { key }) => self.0.get(key).cloned().map_or(Outcome::None, Outcome::Value),
            Ok(Command::Set { key, value }) => self.set(key, value),
            Err(reason) => Outcome::Refused(reason.to_owned()),
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Outcome {
        if value.len() > MAX_VALUE_BYTES {
            return Outcome::Refused("value larger than 4 KiB".to_owned());
        }
        if self.0.len() >= MAX_KEYS && !self.0.contains_key(key) {
            return Outcome::Refused("the ledger is full".to_owned());
        }
        self.0.insert(key.to_owned(), value.to_owned());
        Outcome::Ok
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_was_set_is_what_is_got() {
        let mut store = Store::default();
        assert_eq!(store.answer("GET a"), Outcome::None);
        assert_eq!(store.answer("SET a one two"), Outcome::Ok);
        assert_eq!(store.answer("GET a"), Outcome::Value("one two".to_owned()));
        assert_eq!(store.answer("PING"), Outcome::Pong);
    }

    #[test]
    fn a_full_ledger_takes_changes_and_refuses_new_keys() {
        let mut store = Store::default();
        (0..MAX_KEYS).for_each(|key| assert_eq!(store.answer(&format!("SET {key} x")), Outcome::Ok));
        assert!(matches!(store.answer("SET another x"), Outcome::Refused(_)));
        assert_eq!(store.answer("SET 7 y"), Outcome::Ok);
        assert!(matches!(
            store.answer(&format!("SET 7 {}", "y".repeat(5000))),
            Outcome::Refused(_)
        ));
    }
}
