//! A worker: one thread, one runtime, its own listeners, config, pools and metrics. Workers share nothing on a request's path.

mod bounds;
mod checks;
mod clock;
mod cluster;
mod cluster_series;
mod context;
mod destinations;
mod http_pool;
mod labels;
mod listeners;
mod named_hosts;
mod policy;
mod proofs;
mod rate_limits;
mod refusals;
mod service;
mod thread;
mod token_rules;
mod upstream;

pub(crate) use bounds::{Bounds, Connecting, Repetition, Security, Uses, is_http2};
pub(crate) use clock::Clock;
pub(crate) use cluster::{Cluster, SharedCluster};
pub(crate) use context::Worker;
pub(crate) use destinations::Destinations;
pub(crate) use http_pool::HttpPool;
pub(crate) use labels::{peer_of, principal_of};
pub(crate) use named_hosts::NamedHosts;
pub(crate) use proofs::{Proof, Proofs};
pub(crate) use rate_limits::{Question, RateLimits};
pub(crate) use refusals::Refusals;
pub(crate) use service::{AskedHost, Service, goes_by_host};
pub(crate) use thread::{WorkerParts, start};
pub(crate) use token_rules::{Place, PreparedRule, TokenRules};
pub(crate) use upstream::Upstream;

#[cfg(test)]
mod tests;
