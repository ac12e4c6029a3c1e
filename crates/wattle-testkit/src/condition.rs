//! Waiting on conditions, always with a bound.

use std::time::{Duration, Instant};

/// Wait between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until `look` gives something; panics with `what` when `bound` has passed.
#[track_caller]
pub fn eventually<T>(what: &str, bound: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < bound, "not within {bound:?}: {what}");
        pause();
    }
}

/// Panics with `what` unless `look` holds again and again for as long as `length`.
#[track_caller]
pub fn holds_for(what: &str, length: Duration, mut look: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < length {
        assert!(look(), "no longer after {:?}: {what}", start.elapsed());
        pause();
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the one place where a test waits, between two looks"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_true_is_given() {
        let mut looks = 0;
        let seen = eventually("three looks", Duration::from_secs(5), || {
            looks += 1;
            (looks == 3).then_some("seen")
        });
        assert_eq!(seen, "seen");
    }

    #[test]
    #[should_panic(expected = "not within 1ms: never")]
    fn what_does_not_come_true_is_named() {
        eventually::<()>("never", Duration::from_millis(1), || None);
    }
}
