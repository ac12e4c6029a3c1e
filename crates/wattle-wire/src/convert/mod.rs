//! Conversion between model values and protobuf messages; nothing else knows both.

mod authorization_to_model;
mod error;
pub(crate) mod mesh_to_model;
pub(crate) mod model_to_mesh;
mod policy_to_mesh;
mod route_to_mesh;
mod route_to_model;
#[cfg(test)]
mod strategies;
#[cfg(test)]
mod strategies_inbound;
#[cfg(test)]
mod tests;

pub use error::DecodeError;
pub(crate) use error::Reader;
