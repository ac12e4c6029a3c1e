//! What Istio's networking kinds mean: VirtualService, DestinationRule, ServiceEntry, Sidecar.
//!
//! Everything goes by host: a `frontend` is a port of what a host names, `routes` finds the VirtualService that applies
//! to it, `policy` the DestinationRule. Where an Istio default is a known trap, ours is the safe one unless
//! a namespace asks for them by [`ISTIO_DEFAULTS`](crate::store::ISTIO_DEFAULTS); `diagnose` says so.

pub(crate) mod connection;
pub(crate) mod entry;
pub(crate) mod frontend;
pub(crate) mod host;
pub(crate) mod http;
pub(crate) mod ingress;
pub(crate) mod owner;
pub(crate) mod policy;
pub(crate) mod routes;
pub(crate) mod scope;
pub(crate) mod shelf;
pub(crate) mod subset;
