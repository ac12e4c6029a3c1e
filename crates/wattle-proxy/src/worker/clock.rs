//! Time and randomness of one worker: the only place where its code reads either.

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::{Instant, SystemTime};

/// Monotonic time since the first worker's start, the same for all of them, wall time, and a fast random number.
pub(crate) struct Clock {
    start: Instant,
    wall: wattle_net::Clock,
    state: Cell<u64>,
}

/// When time began.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock {
    pub(crate) fn new(wall: wattle_net::Clock) -> Self {
        Self {
            start: *START,
            wall,
            state: Cell::new(rand::random::<u64>() | 1),
        }
    }

    /// Nanoseconds since the first worker started.
    #[inline]
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Wall time, for logs and certificates.
    #[inline]
    pub(crate) fn wall(&self) -> SystemTime {
        self.wall.now()
    }

    /// A random number for balancing (xorshift64*); nothing secret depends on it.
    #[inline]
    pub(crate) fn random(&self) -> u64 {
        let mut x = self.state.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.state.set(x);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
