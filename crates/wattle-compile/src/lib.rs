//! API objects in; model values, statuses and diagnostics out.
//!
//! Owns: what standard objects mean for a mesh: which Service an address is, which routes a caller sees, which
//! workloads stand behind a backend, which policies select a workload. Pure and total: whatever is wrong with one
//! object gives a diagnostic for it and leaves no hole in another. The result does not depend on the order in which
//! objects arrived, and is incremental: each query records what it read ([`Read`]), and a change drops only the
//! results of its readers.
//!
//! Refuses to know: where objects come from, who asks, how values are encoded.
//!
//! Start reading at [`Mesh`], then `view` (all reading goes through it) and one query each in `destination`,
//! `endpoints` and `inbound`; `diagnose` says what is wrong with an object.

mod any_route;
mod authorization;
mod backend;
mod backend_policy;
mod blocks;
mod cache;
mod destination;
mod diagnose;
mod egress;
mod endpoints;
mod external;
mod filter;
mod host;
mod inbound;
mod instance;
mod istio;
mod linkerd;
mod matches;
mod mesh;
mod names;
mod peer_authentication;
mod port;
mod precedence;
mod protocol;
mod rate_limit;
mod read;
mod request_authentication;
mod route;
mod settings;
mod status;
mod store;
mod view;

pub use cache::ResourceName;
pub use instance::Instance;
pub use mesh::{Apart, Mesh};
pub use read::Read;
pub use request_authentication::KeyAddress;
pub use settings::Settings;
pub use status::{Condition, ParentStatus, RouteStatus};
pub use store::Name;
