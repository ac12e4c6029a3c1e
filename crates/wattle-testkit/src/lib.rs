//! Test harness: a real mesh started by the real binary, programs and threads inside its namespaces, plain HTTP/1.1
//! and gRPC clients and servers, waiting on conditions.
//!
//! Owns: what a test needs to start a mesh, look into it from outside, act from a workload's place, and clean up.
//! It speaks to the binary as a user does: command line, files, sockets. Its clients and servers share no code of
//! this repository with the mesh, so that a mistake there is not repeated here.
//!
//! Refuses to know: any crate of the mesh. It ships in no binary.
//!
//! Start reading at [`Mesh::up`], then [`Spot`] (acting from a workload's place) and [`eventually`].
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

mod calls;
mod condition;
mod echo;
mod http;
mod mesh;
mod need;
mod process;
mod spot;

pub use calls::call;
pub use condition::{eventually, holds_for};
pub use echo::Echo;
pub use http::{Answer, Conversation, Request, ask};
pub use mesh::{Mesh, Process};
pub use need::{Need, find_envoy, find_program, lacks};
pub use process::{HostProcess, processes_beside};
pub use spot::Spot;
