//! Telling of names that nobody outside was asked for: the first at once, then one a minute at most.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::outside::Outside;
use crate::question::Head;

/// Shortest time between two lines of the log; metrics count what is between them.
const PAUSE: Duration = Duration::from_secs(60);

/// When it was told last.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Option<Instant>>);

impl Refusals {
    pub(super) fn tell(&self, query: &[u8], outside: &Outside) {
        if !self.is_due(Instant::now()) {
            return;
        }
        let question = Head::read(query).and_then(|head| head.question);
        let asked = question.map(|question| question.to_string()).unwrap_or_default();
        tracing::warn!(
            asked,
            by = outside.reason(),
            "a name that is not registered was not asked for outside; further ones of the next minute are only counted"
        );
    }

    fn is_due(&self, now: Instant) -> bool {
        let Ok(mut last) = self.0.lock() else { return false };
        let is_due = last.is_none_or(|last| now.duration_since(last) >= PAUSE);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_minute_is_told() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let told =
            [0, 1, 59, 60, 61, 119, 120].map(|secs| refusals.is_due(start + Duration::from_secs(secs)));
        assert_eq!(told, [true, false, false, true, false, false, true]);
    }
}
