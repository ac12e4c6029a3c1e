//! The delta xDS protocol as two pure state machines, one for each end of a stream.
//!
//! Neither performs I/O: events go in, messages to send come out. At most one response per resource kind is
//! in flight; what changes meanwhile is coalesced, so a slow proxy costs memory for the newest state only.

mod publisher;
mod subscriber;
#[cfg(test)]
mod tests;

pub use publisher::{Heard, Outcome, Publisher, StreamError};
pub use subscriber::{Received, Rejected, Subscriber, Update};
