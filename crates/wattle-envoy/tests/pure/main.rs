//! What the encoder says, area by area, without an Envoy that reads it.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod backends;
mod clusters;
mod gates;
mod grpc;
mod grpc_servers;
mod listeners;
mod policies;
mod requests;
mod routes;
