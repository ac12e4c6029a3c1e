//! Whom Linkerd's objects let in, from what is written to the decision.

#![allow(clippy::unwrap_used)]

mod access;
mod closed;
mod mesh;
mod routes;
mod unrelated;
