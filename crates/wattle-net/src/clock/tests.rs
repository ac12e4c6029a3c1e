#![allow(clippy::unwrap_used)]
use std::cell::Cell;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn what_has_come_is_not_waited_for() {
    let system = Clock::default();
    system.until(system.now()).await;
    let (clock, _hand) = Clock::by_hand(UNIX_EPOCH + HOUR);
    clock.until(UNIX_EPOCH).await;
    clock.until(UNIX_EPOCH + HOUR).await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_forward_is_noticed_within_a_minute() {
    let (shown, looks) = (Cell::new(UNIX_EPOCH), Cell::new(0));
    let look = || {
        // As if the machine had slept for a day during the first of the sleeps.
        if looks.replace(looks.get() + 1) == 1 {
            shown.set(UNIX_EPOCH + 24 * HOUR);
        }
        shown.get()
    };
    let begun = tokio::time::Instant::now();
    reached(UNIX_EPOCH + HOUR, look).await;
    // Time is the runtime's own here: it goes on only by sleeps.
    assert_eq!(begun.elapsed().as_secs(), LOOK_AGAIN.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_is_waited_for() {
    let begun = tokio::time::Instant::now();
    let looks = Cell::new(0);
    let look = || {
        let back = if looks.replace(1) == 0 {
            Duration::ZERO
        } else {
            HOUR / 2
        };
        UNIX_EPOCH + HOUR + begun.elapsed() - back
    };
    reached(UNIX_EPOCH + HOUR + HOUR / 4, look).await;
    assert_eq!(begun.elapsed().as_secs(), (HOUR * 3 / 4).as_secs());
}

#[tokio::test]
async fn one_that_is_moved_wakes_who_waits() {
    let (clock, hand) = Clock::by_hand(UNIX_EPOCH);
    let waiting = clock.clone();
    let waits = tokio::spawn(async move { waiting.until(UNIX_EPOCH + HOUR).await });
    hand.advance(HOUR / 2);
    tokio::task::yield_now().await;
    assert!(!waits.is_finished());
    hand.advance(HOUR / 2);
    waits.await.unwrap();
    assert_eq!(clock.unix_secs(), 3600);
    assert_eq!(clock.current_time().unwrap().as_secs(), 3600);
    hand.set(UNIX_EPOCH);
    assert_eq!(clock.now(), UNIX_EPOCH);
}
