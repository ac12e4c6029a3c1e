//! Linkerd's kinds, as far as they are read. Its HTTPRoute is decoded as the Gateway API's, in `route.rs`.

mod authentication;
mod authorization;
mod egress;
mod identity;
mod profile;
mod rate;
mod reference;
mod selector;
mod server;
mod server_authorization;

pub use authentication::{IdentityKind, IdentityRef, MeshTlsAuthentication, NetworkAuthentication};
pub(crate) use authentication::{mesh_tls_authentication, network_authentication};
pub(crate) use authorization::server_policy;
pub use authorization::{AuthenticationKind, AuthenticationRef, ServerPolicy};
pub(crate) use egress::egress_network;
pub use egress::{EgressNetwork, Network, TrafficPolicy};
pub use identity::Identity;
pub(crate) use profile::service_profile;
pub use profile::{
    ProfileRetryBudget, ProfileRoute, RequestCondition, ResponseClass, ResponseCondition, ServiceProfile,
    WeightedDst,
};
pub(crate) use rate::local_rate_limit;
pub use rate::{ClientRef, LocalRateLimit, RateOverride};
pub use reference::AccountRef;
pub use selector::{LabelExpression, LabelOperator, LabelSelector};
pub(crate) use server::server;
pub use server::{AccessPolicy, ProxyProtocol, Server};
pub(crate) use server_authorization::server_authorization;
pub use server_authorization::{
    MeshTlsClients, ServerAuthorization, ServerClient, ServerClientKind, ServerRef,
};
