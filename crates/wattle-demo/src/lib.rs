//! The sample application of `wattle demo`: a small shop, a load generator, an intruder, and the manifests that run them.
//!
//! Owns: the services (HTTP, gRPC and TCP), the traffic between them, the YAML of the demo's mesh directory, the script
//! of the demo as data, and the figures it ends with.
//!
//! Refuses to know that a mesh is there: the services call each other by plain names, as anybody's application does.
//! What is known about the mesh is in the YAML, and in one header name that the intruder reads.
//!
//! Start reading at [`sample`], then [`shop`] with one file a service; [`script`] and [`summary`] are what the command
//! `wattle demo` works with.

mod grpc;
mod intruder;
mod ledger;
mod load;
mod serve;
mod settings;
mod upstream;

pub mod manifests;
pub mod sample;
pub mod script;
pub mod shop;
pub mod summary;

pub use intruder::{Attempt, Intrusion};
pub use load::{Figures, Phase, begin_phase};
pub use settings::{Name, Settings, SettingsError};
