//! Linkerd's kinds, as far as they are read. Its HTTPRoute is decoded as the Gateway API's, in `route.rs`.

mod egress;
mod profile;
mod rate;
mod selector;
mod server;

pub(crate) use egress::egress_network;
pub use egress::{EgressNetwork, Network, TrafficPolicy};
pub(crate) use profile::service_profile;
pub use profile::{
    ProfileRetryBudget, ProfileRoute, RequestCondition, ResponseClass, ResponseCondition, ServiceProfile,
    WeightedDst,
};
pub(crate) use rate::local_rate_limit;
pub use rate::{ClientRef, LocalRateLimit, RateOverride};
pub use selector::{LabelExpression, LabelOperator, LabelSelector};
pub(crate) use server::server;
pub use server::{AccessPolicy, ProxyProtocol, Server};
