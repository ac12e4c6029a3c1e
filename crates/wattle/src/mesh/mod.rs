//! The meshes that run on this machine: where they keep their state, and how commands ask them.

pub(crate) mod ask;
mod base;
mod find;
mod place;
pub(crate) mod port;

pub(crate) use base::base;
pub(crate) use find::{find, is_alive, sweep_names};
pub(crate) use place::Place;

/// What the control plane's admin API says.
pub(crate) use wattle_control::view;
