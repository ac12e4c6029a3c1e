//! What is to be said about Istio's networking kinds.

mod destination_rule;
mod elsewhere;
mod service_entry;
mod sidecar;
mod unreachable;
mod virtual_service;

pub(super) use destination_rule::check as check_destination_rule;
pub(super) use service_entry::check as check_service_entry;
pub(super) use sidecar::check as check_sidecar;
pub(super) use virtual_service::check as check_virtual_service;
