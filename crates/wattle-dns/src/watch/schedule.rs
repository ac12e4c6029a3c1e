//! Which name is resolved when, and what is told of it. No I/O; the clock is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Change;
use crate::resolver::{ResolveError, Resolved};

/// Pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest pause after failures (Istio: `dnsRefreshRate`).
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The names of a watch and how each is.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    names: BTreeMap<String, State>,
}

#[derive(Debug)]
struct State {
    addresses: Vec<IpAddr>,
    /// Failures since it last resolved.
    failures: u32,
    /// When it is asked for next; `None` while it is.
    due: Option<Instant>,
}

impl Schedule {
    /// Takes another set of names; new ones are due at once.
    pub(super) fn want(&mut self, names: &BTreeSet<String>, now: Instant) {
        self.names.retain(|name, _| names.contains(name));
        for name in names {
            self.names.entry(name.clone()).or_insert_with(|| State {
                addresses: Vec::new(),
                failures: 0,
                due: Some(now),
            });
        }
    }

    /// The names to resolve now, at most `room`, the longest due first; they count as under way.
    pub(super) fn due(&mut self, now: Instant, room: usize) -> Vec<String> {
        let mut due: Vec<_> = self
            .names
            .iter_mut()
            .filter(|(_, state)| state.due.is_some_and(|due| due <= now))
            .collect();
        due.sort_by_key(|(_, state)| state.due);
        due.into_iter()
            .take(room)
            .map(|(name, state)| {
                state.due = None;
                name.clone()
            })
            .collect()
    }

    /// When a name is due next; the past counts as `now`.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let next = self.names.values().filter_map(|state| state.due).min()?;
        Some(next.max(now))
    }

    /// Takes the outcome of one lookup, and gives what is to be told. A name that is no longer wanted is forgotten.
    pub(super) fn done(
        &mut self,
        host: &str,
        result: Result<Resolved, ResolveError>,
        now: Instant,
    ) -> Option<Change> {
        let state = self.names.get_mut(host)?;
        let failed_before = state.failures > 0;
        let (is_news, failure) = match result {
            Ok(resolved) => {
                state.failures = 0;
                state.due = Some(now + resolved.ttl);
                let is_news = failed_before || state.addresses != resolved.addresses;
                state.addresses = resolved.addresses;
                (is_news, None)
            }
            Err(error) => {
                state.due = Some(now + pause(state.failures));
                state.failures = state.failures.saturating_add(1);
                (!failed_before, Some(Arc::new(error)))
            }
        };
        is_news.then(|| Change {
            host: host.to_owned(),
            addresses: state.addresses.clone(),
            failure,
        })
    }
}

/// How long to wait after a failure that followed so many others.
fn pause(failures: u32) -> Duration {
    let factor = 1u32.checked_shl(failures).filter(|factor| *factor > 0);
    factor
        .and_then(|factor| FIRST_PAUSE.checked_mul(factor))
        .map_or(LONGEST_PAUSE, |pause| pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn resolved(last: u8, seconds: u64) -> Result<Resolved, ResolveError> {
        Ok(Resolved {
            addresses: vec![[192, 0, 2, last].into()],
            ttl: Duration::from_secs(seconds),
        })
    }

    fn failed() -> Result<Resolved, ResolveError> {
        Err(ResolveError::NoSuchName { host: "a".to_owned() })
    }

    #[test]
    fn a_name_is_asked_for_at_once_and_again_when_its_time_is_over() {
        let mut schedule = Schedule::default();
        let now = Instant::now();
        schedule.want(&names(&["a", "b"]), now);
        assert_eq!(schedule.due(now, 10), ["a", "b"]);
        assert_eq!(schedule.next(now), None);
        assert!(schedule.done("a", resolved(1, 30), now).is_some());
        assert_eq!(schedule.next(now), Some(now + Duration::from_secs(30)));
        assert!(schedule.due(now + Duration::from_secs(29), 10).is_empty());
        assert_eq!(schedule.due(now + Duration::from_secs(30), 10), ["a"]);
    }

    #[test]
    fn the_same_addresses_are_no_news() {
        let mut schedule = Schedule::default();
        let now = Instant::now();
        schedule.want(&names(&["a"]), now);
        assert!(schedule.done("a", resolved(1, 30), now).is_some());
        assert!(schedule.done("a", resolved(1, 60), now).is_none());
        let change = schedule.done("a", resolved(2, 30), now).unwrap();
        assert_eq!(change.addresses, [IpAddr::from([192, 0, 2, 2])]);
    }

    #[test]
    fn a_failure_keeps_the_addresses_is_told_once_and_pauses_longer_each_time() {
        let mut schedule = Schedule::default();
        let now = Instant::now();
        schedule.want(&names(&["a"]), now);
        schedule.done("a", resolved(1, 30), now);
        let change = schedule.done("a", failed(), now).unwrap();
        assert_eq!(change.addresses, [IpAddr::from([192, 0, 2, 1])]);
        assert!(change.failure.is_some());
        let mut pauses = vec![schedule.next(now).unwrap() - now];
        for _ in 0..40 {
            assert!(schedule.done("a", failed(), now).is_none());
            pauses.push(schedule.next(now).unwrap() - now);
        }
        let seconds: Vec<u64> = pauses.iter().take(8).map(Duration::as_secs).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pauses.last(), Some(&LONGEST_PAUSE));
        let change = schedule.done("a", resolved(1, 30), now).unwrap();
        assert!(change.failure.is_none());
    }

    #[test]
    fn names_that_stay_keep_their_state_and_names_that_go_are_forgotten() {
        let mut schedule = Schedule::default();
        let now = Instant::now();
        schedule.want(&names(&["a", "b"]), now);
        schedule.due(now, 10);
        schedule.done("a", resolved(1, 30), now);
        schedule.want(&names(&["a", "c"]), now);
        assert!(schedule.done("b", resolved(1, 30), now).is_none());
        assert_eq!(schedule.due(now, 10), ["c"]);
    }

    #[test]
    fn no_more_are_under_way_than_there_is_room_for() {
        let mut schedule = Schedule::default();
        let now = Instant::now();
        schedule.want(&names(&["a", "b", "c"]), now);
        assert_eq!(schedule.due(now, 2), ["a", "b"]);
        assert_eq!(schedule.next(now), Some(now));
        assert_eq!(schedule.due(now, 2), ["c"]);
    }
}
