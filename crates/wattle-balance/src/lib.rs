//! Endpoint sets and how one is chosen: peak EWMA, two choices, health by outcome; and the pools of connections beside them.
//!
//! Owns the state that a worker keeps per endpoint: how long it takes to answer, how much it is doing, whether it is fit to be
//! asked, and which connections to it are open. Refuses to know HTTP, sockets, the clock and randomness: connections are a type
//! parameter, `now` (nanoseconds of a monotonic clock) and `random` are arguments. Everything here belongs to one thread.
//!
//! Start reading at [`EndpointSet`] (`endpoints.rs`), then [`EndpointSet::pick`] (`choose.rs`), then `ewma.rs` and `health.rs`.

mod breaker;
mod budget;
mod choose;
mod endpoints;
mod ewma;
mod health;
mod permit;
mod picked;
mod pool;
mod random;
mod rate;
mod weighted;

pub use breaker::{Breaker, BreakerCounts, Limits};
pub use budget::{RetryBudget, RetryBudgetConfig};
pub use endpoints::{Config, Endpoint, EndpointId, EndpointSet, MAX_ENDPOINTS, Member, Updated};
pub use ewma::EwmaConfig;
pub use health::{Health, HealthConfig};
pub use permit::Permit;
pub use picked::{Outcome, Picked};
pub use pool::idle::{CheckedOut, IdleLimits, IdlePool};
pub use pool::shared::{
    Acquired, ConnectFailed, ConnectTicket, Shared, SharedLimits, Streams, Waiter, WeakShared,
};
pub use rate::{KeyedRateLimiter, MAX_KEYS, RateLimit, RateLimited, RateLimiter};
pub use weighted::Weighted;
