//! Conversion between model values and protobuf messages; nothing else knows both.

mod authorization_to_mesh;
mod authorization_to_model;
mod balance_to_model;
mod destination_to_mesh;
mod destination_to_model;
mod endpoint_to_mesh;
mod endpoint_to_model;
mod error;
mod external_to_mesh;
mod external_to_model;
mod filter_to_mesh;
mod filter_to_model;
mod inbound_to_mesh;
mod inbound_to_model;
mod match_to_mesh;
mod match_to_model;
mod names_to_mesh;
mod names_to_model;
mod parts_to_mesh;
mod parts_to_model;
mod reader;
mod route_to_mesh;
mod route_to_model;
mod traffic_to_mesh;
mod traffic_to_model;
mod trust;
mod upstream_to_mesh;
mod upstream_to_model;

#[cfg(test)]
mod strategies;
#[cfg(test)]
mod tests;

pub use error::DecodeError;
use reader::Decoded;
pub(crate) use reader::Reader;

/// Model values to messages.
pub(crate) mod to_mesh {
    pub(crate) use super::destination_to_mesh::destination;
    pub(crate) use super::endpoint_to_mesh::{endpoints, peer};
    pub(crate) use super::inbound_to_mesh::inbound;
    pub(crate) use super::names_to_mesh::names;
    pub(crate) use super::trust::to_mesh as trust;
}

/// Messages to model values.
pub(crate) mod to_model {
    pub(crate) use super::destination_to_model::destination;
    pub(crate) use super::endpoint_to_model::{endpoints, peer};
    pub(crate) use super::inbound_to_model::inbound;
    pub(crate) use super::names_to_model::names;
    pub(crate) use super::trust::to_model as trust;
}
