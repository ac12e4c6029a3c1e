//! Time and randomness of one worker: the only place where its code reads either.

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::{Instant, SystemTime};

/// Monotonic time since the first worker's start, the same for all of them, wall time, and a fast random number.
pub(crate) struct Clock {
    start: Instant,
    wall: wattle_net::Clock,
    /// When it was read last.
    read_ns: Cell<u64>,
    state: Cell<u64>,
}

/// When time began.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock {
    pub(crate) fn new(wall: wattle_net::Clock) -> Self {
        Self {
            start: *START,
            wall,
            read_ns: Cell::new(0),
            state: Cell::new(rand::random::<u64>() | 1),
        }
    }

    /// Nanoseconds since the first worker started.
    #[inline]
    pub(crate) fn now_ns(&self) -> u64 {
        let now = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.read_ns.set(now);
        now
    }

    /// The same as it was read last, by the request in work or by a sweep: for what need not be exact. To read the clock
    /// took 22 ns where it was measured, and a request did so up to ten times.
    #[inline]
    pub(crate) fn recent_ns(&self) -> u64 {
        self.read_ns.get()
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
