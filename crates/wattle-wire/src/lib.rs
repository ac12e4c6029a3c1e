//! What control plane and proxies say to each other: protobuf messages, their conversion to and from
//! [`wattle_model`] values, and the delta xDS state machine without I/O.
//!
//! Refuses to know: sockets, TLS, clocks, how a resource was compiled or what a proxy does with it.
//!
//! Start reading at [`Resource`] (one decoded resource), then [`delta::Publisher`] (one stream, control plane's
//! side) and [`delta::Subscriber`] (the proxy's side). Generated protobuf types stay behind [`proto`].

mod convert;
pub mod delta;
pub mod fuzz;
pub mod proto;
mod resource;

pub use convert::DecodeError;
pub use resource::{Encoded, Kind, Peer, Resource, ResourceName};
