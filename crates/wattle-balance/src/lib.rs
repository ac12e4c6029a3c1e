//! Endpoint sets and how one is chosen; what else bounds the traffic to a backend; and the pools of connections beside them.
//!
//! Owns the state that a worker keeps per endpoint: how long it takes to answer, how much it is doing, whether it is fit to be
//! asked, and which connections to it are open. Refuses to know HTTP, sockets, the clock and randomness: connections are a type
//! parameter, `now` (nanoseconds of a monotonic clock) and `random` are arguments. Everything here belongs to one thread, except for
//! `rate.rs`, whose counters the workers of a process share.
//!
//! Start reading at [`EndpointSet`] (`endpoints.rs`) and [`EndpointSet::pick`] (`choose/mod.rs`, one file beside it per way to
//! choose), then who is fit: `health.rs` (probes), `outlier/mod.rs` (ejection), `priority.rs` (priorities, localities, panic). By
//! themselves stand `breaker.rs`, `budget.rs` (retries) and `rate.rs`.

mod breaker;
mod budget;
mod choose;
mod config;
mod endpoints;
mod ewma;
mod groups;
mod health;
mod member;
mod outlier;
mod permit;
mod picked;
mod pool;
mod priority;
mod random;
mod rate;
mod slow_start;
mod standing;
mod weighted;

pub use breaker::{Breaker, BreakerCounts, Limits};
pub use budget::{RetryBudget, RetryBudgetConfig};
pub use choose::hash::hash_bytes;
pub use config::{Balance, Config, MAX_RING_SIZE, MAX_TABLE_SIZE};
pub use endpoints::{Described, Endpoint, EndpointSet, MAX_ENDPOINTS, Updated};
pub use ewma::EwmaConfig;
pub use health::{Health, HealthConfig};
pub use member::{EndpointId, Member};
pub use outlier::{Ejections, FailurePercentage, OutlierConfig, SuccessRate};
pub use permit::Permit;
pub use picked::{Outcome, Picked};
pub use pool::idle::{CheckedOut, IdleLimits, IdlePool};
pub use pool::shared::{
    Acquired, ConnectFailed, ConnectTicket, Shared, SharedLimits, Streams, Waiter, WeakShared,
};
pub use priority::{MAX_LOCALITIES, MAX_PRIORITIES, Panic};
pub use rate::{KeyedRateLimiter, MAX_KEYS, RateLimit, RateLimited, RateLimiter};
pub use slow_start::SlowStart;
pub use weighted::Weighted;
