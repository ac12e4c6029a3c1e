//! How an endpoint is chosen among those of a backend.

use std::time::Duration;

use super::HashKey;

/// The choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Balance {
    /// The cheaper of two by latency and load (peak EWMA); the mesh's default.
    #[default]
    PeakEwma,
    /// The less busy of two (Istio `LEAST_REQUEST`).
    LeastRequest,
    /// In turn, by weight.
    RoundRobin,
    /// By chance, by weight.
    Random,
    /// The address that was dialled (Istio `PASSTHROUGH`).
    OriginalDestination,
    /// By a hash of the request.
    Hash {
        /// What is hashed; a request without it goes by chance.
        key: HashKey,
        /// How hashes are mapped to endpoints.
        table: HashTable,
    },
}

/// How hashes are mapped to endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashTable {
    /// A ring (Ketama) of at least so many points; default 1024.
    Ring(u32),
    /// A table of this prime size (Maglev); default 65537.
    Maglev(u32),
}

/// A new endpoint's share grows from a part to the whole (Istio `warmup`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warmup {
    /// Time until it has its whole share.
    pub duration: Duration,
    /// Least part, percent, 0 to 100; default 10.
    pub minimum_percent: f64,
    /// Shape of the curve, at least 1; default 1, a line.
    pub aggression: f64,
}
