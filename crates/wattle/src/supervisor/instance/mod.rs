//! One instance's life: network, proxy, application, readiness, end.
//!
//! Start reading at [`life`](life.rs), whose phases stand in the order in which they happen.

mod application;
mod envoy;
mod face;
mod life;
mod network;
mod probe;
mod proxy;
mod spec;

pub(crate) use life::Life;
pub(crate) use spec::Spec;
