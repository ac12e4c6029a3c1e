//! HTTP/2 over the `h2` crate, behind a seam: none of its types leaves this module, so an engine of our own can take its place.
//!
//! `batch` gathers frames into few writes; `conduct` bounds what a peer may send for nothing; `convert` turns heads into ours and back; `body` moves data with flow control;
//! `server` and `client` are the two roles.

mod batch;
mod body;
mod client;
mod conduct;
mod convert;
mod driver;
mod pending;
mod ping;
mod server;

pub use body::StreamBody;
pub use client::{Client, connect};
pub use driver::{DriveError, Driver};
pub use server::serve;

pub(crate) use server::InformationalSink;
