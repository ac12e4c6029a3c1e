//! Who the workload is: its certificate is fetched, saved, renewed at half life, and swapped without dropping a connection.

mod believed;
mod credentials;
mod enrol;
mod given;
mod health;
mod keeper;
mod outside;
mod service;
mod workload_api;

pub(crate) use credentials::{Alpn, Credentials, HTTP2};
pub(crate) use enrol::control_channel;
pub(crate) use health::IdentityHealth;
pub(crate) use keeper::Keeper;
pub(crate) use outside::{Outside, Pem};
