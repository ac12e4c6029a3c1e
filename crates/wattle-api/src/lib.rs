//! What people write: core Kubernetes, Gateway API, Istio and Wattle kinds; parsed, defaulted and validated.
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
//! 2. A variant in [`Kind`] with group and versions, one in [`Object`], and a line in `spec` of `parse.rs`;
//!    the compiler names the places. Remove the kind from `NOT_YET` in `registry.rs`.
//! 3. A row in `tests/kinds.rs` (it comes back as it was written) and rows in `tests/refused.rs`.

mod authorization;
mod condition;
mod core;
mod decode;
mod diagnostic;
mod document;
mod filter;
mod grant;
mod header;
pub mod istio;
mod key;
mod matcher;
mod matching;
mod meta;
mod name;
mod nearest;
mod object;
mod parse;
mod peer;
mod process;
mod registry;
mod report;
mod route;
mod scalar;
mod tree;
mod workload;

pub use authorization::{Account, Action, AuthorizationPolicy, Operation, Provider, Source, TargetRef};
pub use condition::{Condition, ConditionKey};
pub use core::{ClusterIp, Exposure, Namespace, Protocol, Service, ServiceAccount, ServicePort, TargetPort};
pub use diagnostic::{Diagnostic, Finding, Place, Severity};
pub use filter::{Filter, Header, HeaderModifier, PathModifier, Redirect, Rewrite};
pub use grant::{GrantFrom, GrantTo, ReferenceGrant};
pub use key::{Kind, ObjectKey};
pub use matcher::{PathPattern, TextMatch, Values};
pub use matching::{HeaderMatch, PathMatch, QueryMatch, ValueMatch};
pub use meta::{Labels, Meta, Origin};
pub use object::{Object, Resource};
pub use parse::{MAX_FILE_BYTES, Parsed, Refused, parse, parse_bytes, parse_bytes_in, parse_in};
pub use peer::{Mtls, MtlsMode, PeerAuthentication, Selector};
pub use process::{Probe, Process, ProcessPort, Proxy, Readiness, RestartPolicy, Variable};
pub use route::{BackendRef, HttpRoute, Match, ParentRef, Timeouts};
pub use scalar::{Pattern, Port, format_duration, parse_duration};
pub use workload::{Address, WorkloadEntry};

/// One rule of an HTTPRoute.
pub use route::Rule as HttpRule;

/// One rule of an AuthorizationPolicy.
pub use authorization::Rule as AuthorizationRule;
