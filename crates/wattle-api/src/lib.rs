//! What people write: core Kubernetes, Gateway API, Istio, Linkerd and Wattle kinds; parsed, defaulted and validated.
//!
//! This crate owns the shape of every kind that is read, and says with file, line and field path what is
//! wrong with an object. It is pure: text in, values and diagnostics out; no file, clock or network.
//! It refuses to know what an object means to traffic: that is the compiler's.
//!
//! Start reading at [`parse()`], then `parse.rs` from top to bottom, then one kind, such as `peer.rs`.
//!
//! # How to add a kind
//!
//! 1. A module with its `spec` as plain types that cannot be wrong, a `Serialize` that writes what was read,
//!    and a decoder `fn(&Cursor) -> Decoded<Spec>`; take the limits from the API's own schema.
//! 2. A variant in [`Kind`] with group and versions, one in [`Object`], and a line in `spec` of `parse/kinds.rs`;
//!    the compiler names the places. Remove the kind from `NOT_YET` in `registry.rs`.
//! 3. A row in `tests/kinds.rs` (it comes back as it was written) and rows in `tests/refused.rs`.

mod authentication;
mod authorization;
mod backend_tls;
mod backend_traffic;
mod condition;
mod config_map;
mod core;
mod datagrams;
mod decode;
mod diagnostic;
mod document;
mod duration;
mod egress_policy;
mod endpoint_slice;
mod filter;
mod grant;
mod grpc;
mod header;
pub mod istio;
mod key;
mod known;
mod linkerd;
mod linkerd_annotations;
mod matcher;
mod matching;
mod mesh_config;
mod meta;
mod name;
mod nearest;
mod object;
mod parse;
mod peer;
mod process;
mod rate_limit;
mod reference;
mod registry;
mod report;
mod retry;
mod route;
mod scalar;
mod session;
mod stream_route;
mod tree;
mod workload;

pub use authentication::{ClaimToHeader, JwtRule, RequestAuthentication, TokenHeader};
pub use authorization::{Account, Action, AuthorizationPolicy, Operation, Provider, Source, TargetRef};
pub use backend_tls::{BackendTlsPolicy, CaCertificateRef, CaCertificates, SubjectAltName, TlsValidation};
pub use backend_traffic::{BackendTrafficPolicy, RequestRate, RetryBudget, RetryConstraint};
pub use condition::{Condition, ConditionKey};
pub use config_map::ConfigMap;
pub use core::{
    ClusterIp, Exposure, Namespace, Protocol, Service, ServiceAccount, ServicePort, ServiceTraffic,
    TargetPort, TrafficDistribution,
};
pub use datagrams::Datagrams;
pub use diagnostic::{Diagnostic, Finding, Place, Severity};
pub use duration::{format_duration, parse_duration};
pub use egress_policy::{
    EgressMode, EgressPolicy, EgressPort, EgressProtocol, EgressRule, OriginationMode, TlsOrigination,
};
pub use endpoint_slice::{
    AddressType, EndpointConditions, EndpointHints, EndpointSlice, EndpointTarget, SliceEndpoint, SlicePort,
};
pub use filter::{Cors, Filter, Fraction, Header, HeaderModifier, Mirror, PathModifier, Redirect, Rewrite};
pub use grant::{GrantFrom, GrantTo, ReferenceGrant};
pub use grpc::{GrpcMatch, GrpcRoute, GrpcRule, MethodMatch};
pub use key::{Kind, ObjectKey};
pub use known::KnownField;
pub use linkerd::{
    AccessPolicy, AccountRef, AuthenticationKind, AuthenticationRef, ClientRef, EgressNetwork, Identity,
    IdentityKind, IdentityRef, LabelExpression, LabelOperator, LabelSelector, LocalRateLimit,
    MeshTlsAuthentication, MeshTlsClients, Network, NetworkAuthentication, ProfileRetryBudget, ProfileRoute,
    ProxyProtocol, RateOverride, RequestCondition, ResponseClass, ResponseCondition, Server,
    ServerAuthorization, ServerClient, ServerClientKind, ServerPolicy, ServerRef, ServiceProfile,
    TrafficPolicy, WeightedDst,
};
pub use linkerd_annotations::{FailureAccrual, GrpcCode, LinkerdAnnotations, LinkerdRetry, PortRanges};
pub use matcher::{PathPattern, TextMatch, Values};
pub use matching::{HeaderMatch, PathMatch, QueryMatch, ValueMatch};
pub use mesh_config::{
    AuthorizationCheck, Authorizer, BodyInCheck, ExtensionProvider, HttpAuthorizer, MeshConfig,
    NormalizationType, PathNormalization, ProviderService,
};
pub use meta::{Labels, Meta, Origin};
pub use name::is_label;
pub use object::{Object, Resource};
pub use parse::{MAX_FILE_BYTES, Parsed, Refused, fields_of, parse, parse_bytes, parse_bytes_in, parse_in};
pub use peer::{Mtls, MtlsMode, PeerAuthentication, Selector};
pub use process::{
    Certificate, Probe, Process, ProcessPort, Proxy, ProxyKind, Readiness, RestartPolicy, Variable,
};
pub use rate_limit::{
    DescriptorEntry, DescriptorSource, GlobalLimit, Limit, LocalLimit, OnFailure, RateLimit, RateLimitRule,
    RateLimitService, RateShare, RateUnit,
};
pub use reference::{BackendObject, BackendRef, ParentRef, PolicyTarget};
pub use retry::Retry;
pub use route::{HttpRoute, Match, Timeouts};
pub use scalar::{Pattern, Port};
pub use session::{CookieConfig, CookieLifetime, SessionCarrier, SessionPersistence};
pub use stream_route::{StreamRule, TcpRoute, TlsRoute};
pub use workload::{Address, WorkloadEntry};

/// One rule of an HTTPRoute.
pub use route::Rule as HttpRule;

/// One rule of an AuthorizationPolicy.
pub use authorization::Rule as AuthorizationRule;
