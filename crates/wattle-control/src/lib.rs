//! The control plane: sources → compile → delta xDS, the certificate authority, statuses and explanations.
//!
//! Owns the composition and what only a control plane does: who may subscribe to what, which proxy acknowledged which
//! version, virtual addresses, join tokens, the authority's keys at rest. Everything that proxies hear of is decided
//! in one place, the module `hub`, a state machine without I/O on a thread of its own.
//!
//! Refuses to know: the proxy, how traffic is carried, what an object looks like on the page of its author.
//!
//! Start reading at [`Control::start`], then `hub/mod.rs`, then `serve/discovery.rs` (a stream's life) and
//! `serve/certificate.rs` (who gets a certificate). [`explain`](mod@explain) and [`offline`] need no running control plane.

mod admin;
mod config;
mod control;
pub mod diff;
pub mod explain;
mod hub;
mod issuer;
mod keys;
mod metrics;
pub mod offline;
pub mod propose;
pub mod reach;
pub mod records;
pub mod replay;
mod serve;
mod store;
pub mod view;
mod virtual_ips;
pub mod why;

pub use config::{ControlConfig, DISCOVERY_PORT, METRICS_PORT, TrustSettings};
pub use control::{Control, StartError};
pub use issuer::IssuerError;
pub use keys::KeySettings;
pub use store::StoreError;
