//! The data plane: one proxy process beside a workload.
//!
//! Owns the composition: inbound and outbound sides, the life of a request as named phases (`phases/`, one file each),
//! share-nothing workers (`worker/`), and what surrounds them on the main thread: config (`config/`), the workload's
//! certificate (`identity/`), admin and metrics (`admin/`). Where an Envoy carries the traffic instead, `envoy/` is the
//! agent beside it; `programs/` is what gRPC programs find that ask the mesh themselves.
//!
//! Refuses to know: the control plane's inside, what people write, Kubernetes. Control plane and proxy meet in the
//! model and on the wire alone.
//!
//! Start reading at [`run`], then `outbound/mod.rs` and `inbound/mod.rs`, which read as the order of the phases.

mod admin;
mod config;
mod envoy;
mod identity;
mod inbound;
mod names;
mod outbound;
mod phases;
mod programs;
mod run;
mod settings;
#[cfg(test)]
mod tests;
mod worker;

pub use envoy::run as run_envoy;
pub use programs::agent::run as run_agent;
pub use run::{Hooks, SetLogLevel, StartError, run};
pub use settings::{AccessLogTarget, CertificateService, CertificateSource, Settings};
