//! The compiled mesh as standard xDS resources, for Envoy sidecars and gRPC programs, clients and servers.
//!
//! Owns: what a value of the model is in Envoy's terms, and which values have no such terms ([`Gap`]). Pure: model values
//! in, protobuf out, the same bytes for the same values.
//!
//! Refuses to know: streams, subscriptions, where keys come from, what was written to make the model.
//!
//! Start reading at [`Sidecar::encode`]. Where Envoy told by this crate does something else than a Wattle proxy is written
//! down in `docs/differences.md`.

pub mod bootstrap;
mod cluster;
mod grpc;
mod listener;
mod notes;
mod proto;
mod rbac;
mod resource;
mod route;
mod scene;
pub mod secret;
mod sidecar;
mod text;

pub use resource::{Gap, Kind, Resource, Resources};
pub use scene::{GrpcClient, Others, Scene, Served, Sidecar};
