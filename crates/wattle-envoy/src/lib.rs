//! The compiled mesh as standard xDS resources, for Envoy sidecars and proxyless gRPC clients.
//!
//! Owns: what a value of the model is in Envoy's terms, and which values have no such terms ([`Gap`]). Pure: model values
//! in, protobuf out, the same bytes for the same values.
//!
//! Refuses to know: streams, subscriptions, where keys come from, what was written to make the model.

pub mod bootstrap;
mod resource;
mod scene;

pub use resource::{Gap, Kind, Resource, Resources};
pub use scene::{GrpcClient, Scene, Sidecar};
