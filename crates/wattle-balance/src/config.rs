//! How a set of endpoints balances; everything defaults to peak EWMA with two choices over endpoints that can be connected to.

use crate::ewma::EwmaConfig;
use crate::health::HealthConfig;
use crate::outlier::OutlierConfig;
use crate::priority::Panic;
use crate::slow_start::SlowStart;

/// The most points of a ring, whatever is asked for; bounds the work of an update and its memory (16 bytes each).
pub const MAX_RING_SIZE: u32 = 262_144;

/// The largest Maglev table, whatever is asked for, a prime; bounds the work of an update and its memory (4 bytes each).
pub const MAX_TABLE_SIZE: u32 = 655_373;

/// Which endpoint a request goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Balance {
    /// Of two drawn at random, the one whose latency × load is lower; see `choose/peak_ewma.rs`.
    #[default]
    PeakEwma,
    /// One after the other, heavier ones more often, evenly spread (Istio's `ROUND_ROBIN`).
    RoundRobin,
    /// At random by weight (Istio's `RANDOM`).
    Random,
    /// Of two drawn at random, the one with fewer requests in flight; where weights differ, in turn by weight ÷ (requests in
    /// flight + 1)^bias (Istio's `LEAST_REQUEST`).
    LeastRequest {
        /// How much load counts against weight (Envoy's `active_request_bias`); Envoy's default 1.0, zero ignores load.
        active_request_bias: f64,
    },
    /// By hash, on a ring of points (Istio's `ringHash`).
    RingHash {
        /// Points of the heaviest endpoint while all fit, so that the ring never has fewer (Istio's `minimumRingSize`); default 1,024.
        minimum_ring_size: u32,
        /// Points in all, at most [`MAX_RING_SIZE`] (Envoy's `maximum_ring_size`); default 65,536.
        maximum_ring_size: u32,
    },
    /// By hash, in a table (Istio's `maglev`).
    Maglev {
        /// Entries of the table, raised to the next prime, at most [`MAX_TABLE_SIZE`] (Istio's `tableSize`); default 65,537.
        table_size: u32,
    },
}

impl Balance {
    /// Least request with Envoy's bias.
    #[must_use]
    pub const fn least_request() -> Self {
        Self::LeastRequest {
            active_request_bias: 1.0,
        }
    }

    /// A ring of Istio's default size.
    #[must_use]
    pub const fn ring_hash() -> Self {
        Self::RingHash {
            minimum_ring_size: 1_024,
            maximum_ring_size: 65_536,
        }
    }

    /// A table of Istio's default size.
    #[must_use]
    pub const fn maglev() -> Self {
        Self::Maglev { table_size: 65_537 }
    }

    /// Whether the choice follows a hash of the request.
    #[must_use]
    pub const fn is_by_hash(&self) -> bool {
        matches!(self, Self::RingHash { .. } | Self::Maglev { .. })
    }
}

/// How a set chooses, estimates latency and judges health.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Config {
    /// How latency is averaged.
    pub ewma: EwmaConfig,
    /// When an endpoint is taken out and probed.
    pub health: HealthConfig,
    /// Which endpoint a request goes to; default peak EWMA.
    pub balance: Balance,
    /// How a new endpoint warms up; default not at all. Without effect on random choice and choice by hash, as in Envoy.
    pub slow_start: Option<SlowStart>,
    /// When health is disregarded; default when every endpoint is out.
    pub panic: Panic,
    /// When an endpoint is ejected; default never.
    pub outlier: Option<OutlierConfig>,
    /// Any number; workers that are given different ones do not begin their rounds at the same endpoint. Default 0.
    pub seed: u64,
}
