//! Wall time, as certificates and tokens know it: the system's, or one that a test moves.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use tokio::sync::watch;

/// Longest single sleep: timers stand still while a machine sleeps and do not hear of a clock that was set.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Tells the time and waits for one; cheap to clone. The system's by default.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// The time that somebody sets instead.
    set: Option<watch::Receiver<SystemTime>>,
}

/// Moves the clocks that were made with it.
#[derive(Debug)]
pub struct Hand(watch::Sender<SystemTime>);

impl Clock {
    /// A clock that stands still at `start` until it is moved.
    pub fn by_hand(start: SystemTime) -> (Self, Hand) {
        let (sender, set) = watch::channel(start);
        (Self { set: Some(set) }, Hand(sender))
    }

    /// The time now.
    #[inline]
    pub fn now(&self) -> SystemTime {
        match &self.set {
            None => SystemTime::now(),
            Some(set) => *set.borrow(),
        }
    }

    /// Whole seconds since 1970; 0 before.
    pub fn unix_secs(&self) -> u64 {
        self.since_epoch().as_secs()
    }

    /// Waits until the clock shows this time or a later one. Where the system's clock was set, or the machine slept, that is
    /// noticed within a minute.
    pub async fn until(&self, time: SystemTime) {
        let Some(set) = &self.set else {
            return reached(time, SystemTime::now).await;
        };
        if set.clone().wait_for(|now| *now >= time).await.is_err() {
            // Nobody can move it any more.
            std::future::pending().await
        }
    }

    fn since_epoch(&self) -> Duration {
        self.now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.since_epoch()))
    }
}

impl Hand {
    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now += by);
    }

    /// Sets the clock, also back.
    pub fn set(&self, time: SystemTime) {
        self.0.send_replace(time);
    }
}

async fn reached(time: SystemTime, now: impl Fn() -> SystemTime) {
    while let Ok(left) = time.duration_since(now()) {
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK_AGAIN)).await;
    }
}

#[cfg(test)]
mod tests;
