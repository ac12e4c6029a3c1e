//! When keys are fetched again, and how long old ones last. Pure: time is an argument.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Kept;

/// How long keys are used that cannot be fetched any more (Istio).
pub(super) const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// First wait after a failure where there are keys to go on with (Istio); it doubles up to the refresh.
const RETRY: Duration = Duration::from_secs(60);
/// First wait where there are none; it doubles up to [`RETRY`].
const EAGER: Duration = Duration::from_secs(2);

/// What is known of an address.
pub(super) struct Known {
    keys: Option<Kept>,
    failures: u32,
    /// `None` while a fetch is under way.
    due: Option<Instant>,
    /// Whether plaintext is believed of any address.
    plaintext: bool,
}

impl Known {
    /// With what an earlier run kept; due at once.
    pub(super) fn new(keys: Option<Kept>, now: Instant) -> Self {
        Self {
            keys,
            failures: 0,
            due: Some(now),
            plaintext: false,
        }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn begun(&mut self) {
        self.due = None;
    }

    pub(super) fn fetched(&mut self, keys: Arc<str>, wall_secs: u64, next: Instant) {
        self.keys = Some((keys, wall_secs));
        self.failures = 0;
        self.due = Some(next);
    }

    /// Says whether plaintext is believed; a change is tried at once.
    pub(super) fn believe(&mut self, plaintext: bool, now: Instant) {
        if self.plaintext != plaintext {
            self.plaintext = plaintext;
            self.due = self.due.map(|due| due.min(now));
        }
    }

    /// Drops what there is: it came on a way that is not believed any more.
    pub(super) fn disbelieve(&mut self) {
        self.keys = None;
    }

    /// Keeps what there is for [`MAX_AGE`] from its fetch on.
    pub(super) fn failed(&mut self, wall_secs: u64, now: Instant, refresh: Duration) {
        if self.age(wall_secs).is_some_and(|age| age >= MAX_AGE.as_secs()) {
            self.keys = None;
        }
        let (first, longest) = match self.keys {
            Some(_) => (RETRY.min(refresh), refresh),
            None => (EAGER, RETRY),
        };
        let wait = first.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now + wait);
    }

    pub(super) fn keys(&self) -> Option<Arc<str>> {
        self.keys.as_ref().map(|(keys, _)| keys.clone())
    }

    /// Seconds since the keys were fetched; `None` without any.
    pub(super) fn age(&self, wall_secs: u64) -> Option<u64> {
        let (_, fetched) = self.keys.as_ref()?;
        Some(wall_secs.saturating_sub(*fetched))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const REFRESH: Duration = Duration::from_secs(1200);

    fn waits(known: &mut Known, wall: u64, count: usize) -> Vec<u64> {
        let now = Instant::now();
        let wait = |_| {
            known.begun();
            known.failed(wall, now, REFRESH);
            (known.due().unwrap() - now).as_secs()
        };
        (0..count).map(wait).collect()
    }

    #[test]
    fn a_failure_is_tried_again_sooner_where_there_are_no_keys() {
        let now = Instant::now();
        let mut without = Known::new(None, now);
        assert_eq!(waits(&mut without, 0, 7), [2, 4, 8, 16, 32, 60, 60]);
        let mut with = Known::new(Some(("k".into(), 0)), now);
        assert_eq!(waits(&mut with, 0, 6), [60, 120, 240, 480, 960, 1200]);
        with.fetched("k".into(), 0, now + REFRESH);
        assert_eq!(with.due(), Some(now + REFRESH));
        assert_eq!(waits(&mut with, 0, 1), [60]);
    }

    #[test]
    fn old_keys_stay_in_use_for_seven_days() {
        let mut known = Known::new(Some(("k".into(), 1000)), Instant::now());
        let last = 1000 + MAX_AGE.as_secs() - 1;
        known.failed(last, Instant::now(), REFRESH);
        assert_eq!(
            (known.keys().as_deref(), known.age(last)),
            (Some("k"), Some(MAX_AGE.as_secs() - 1))
        );
        known.failed(last + 1, Instant::now(), REFRESH);
        assert_eq!(known.keys(), None);
    }

    #[test]
    fn keys_that_are_not_believed_any_more_are_gone_at_once() {
        let mut known = Known::new(Some(("k".into(), 0)), Instant::now());
        known.disbelieve();
        assert_eq!((known.keys(), known.age(1)), (None, None));
        assert_eq!(waits(&mut known, 1, 2), [2, 4]);
    }

    #[test]
    fn whether_plaintext_is_believed_is_tried_at_once_where_it_changes() {
        let now = Instant::now();
        let mut known = Known::new(None, now);
        known.begun();
        known.believe(true, now);
        assert_eq!(known.due(), None, "one is under way");
        known.fetched("k".into(), 0, now + REFRESH);
        known.believe(true, now);
        assert_eq!(known.due(), Some(now + REFRESH));
        known.believe(false, now);
        assert_eq!(known.due(), Some(now));
    }

    #[test]
    fn an_address_is_due_at_once_and_not_while_it_is_being_fetched() {
        let now = Instant::now();
        let mut known = Known::new(None, now);
        assert!(known.is_due(now));
        known.begun();
        assert!(!known.is_due(now + REFRESH));
    }
}
