//! Generated protobuf and gRPC code, kept as small a surface as tonic needs.
//!
//! Regenerate with `cargo xtask proto` after editing `proto/*.proto`.

/// Laid out as their packages are, because one refers to the other.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic
)]
mod service {
    pub mod discovery {
        pub mod v3 {
            include!("generated/envoy.service.discovery.v3.rs");
        }
    }
    pub mod secret {
        pub mod v3 {
            include!("generated/envoy.service.secret.v3.rs");
        }
    }
}

/// Aggregated discovery service, delta and state of the world (Envoy data-plane-api v3).
pub use service::discovery::v3 as discovery;
/// Secret discovery service (Envoy data-plane-api v3).
pub use service::secret::v3 as secret;

/// Certificate signing (Istio's CA API).
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic
)]
pub mod certificate {
    include!("generated/istio.v1.auth.rs");
}

/// Certificates from the workload's own machine (SPIFFE Workload API).
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic
)]
pub mod workload {
    include!("generated/_.rs");
}

/// Questions to a rate limit service (Envoy data-plane-api v3).
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic
)]
pub mod rate_limit {
    include!("generated/envoy.service.ratelimit.v3.rs");
}

/// Questions to an external authorization service (Envoy data-plane-api v3).
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic
)]
pub mod external_auth {
    include!("generated/envoy.service.auth.v3.rs");
}

/// Wattle's own resources; converted in this crate and nowhere else.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic
)]
pub(crate) mod mesh {
    include!("generated/wattle.v1.rs");
}
