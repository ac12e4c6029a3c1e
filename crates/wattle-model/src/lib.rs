//! The compiled mesh as plain values, and every decision on it as a pure function:
//!
//! ```text
//! (model value, facts about this connection or request) -> decision + trace
//! ```
//!
//! The proxy executes these decisions, `wattle explain` prints them, tests enumerate them. There is one
//! evaluator, so what is explained is what happens.
//!
//! What may never happen here: I/O, a clock, randomness (both are arguments), async, serialisation.
//!
//! Start reading at [`Destination`] (what an outbound proxy knows of what its workload dials), [`Inbound`]
//! (what a workload's own proxy enforces), then [`route`](crate::Destination::route) and
//! [`authorize`](crate::Inbound::authorize).

mod attribute;
mod authentication;
mod authorization;
mod authorize;
mod by_name;
mod caller;
mod chance;
mod compare;
mod connection_route;
mod cookie;
mod cors;
mod decide;
mod destination;
mod endpoint;
mod external;
mod facts;
mod fault;
mod filter;
mod home;
mod host;
mod inbound;
mod ip_block;
mod matching;
mod mirror;
mod names;
mod normalization;
mod origin;
mod path;
mod pattern;
mod persistence;
pub mod port;
mod protocol;
mod prove;
mod rate_limit;
mod reason;
mod retry;
mod route;
mod seen;
mod trace;
pub mod traffic;
mod trust;

pub use attribute::Attribute;
pub use authentication::{
    Claim, ClaimHeader, PrincipalPart, TokenFacts, TokenLocation, TokenPrincipal, TokenRule,
};
pub use authorization::{
    Authorization, Condition, External, Gate, GateRoute, Operation, Policy, PolicyRule, Source,
};
pub use authorize::{Ask, AuthorizationDecision};
pub use by_name::ByName;
pub use caller::{Access, CallerFacts, CallerScope};
pub use chance::Chance;
pub use compare::Mismatch;
pub use connection_route::{ConnectionDecision, ConnectionMatch, ConnectionRoute, OutboundFacts};
pub use cors::{Cors, CorsList, CorsReply, CorsVerdict};
pub use decide::{Outcome, RouteDecision, Share};
pub use destination::{Backend, BackendId, Destination, ServicePort};
pub use endpoint::{Endpoint, EndpointHealth, Endpoints, Hop, Locality, NamedEndpoint};
pub use external::{CheckProtocol, CheckedBody, ExternalAuthorizer, HttpCheck};
pub use facts::{ConnectionFacts, PeerFacts, RequestFacts, original_client};
pub use fault::{Abort, Fault};
pub use filter::{DirectResponse, Filters, HeaderModifier, PathRewrite, Redirect, RedirectPort, UrlRewrite};
pub use home::leads_home;
pub use host::{HostMatch, host_of};
pub use inbound::{EffectivePort, Inbound, InboundPort, MtlsMode, Refusal, Workload};
pub use ip_block::IpBlock;
pub use matching::{CallerLabel, HeaderMatch, PathMatch, QueryMatch, RequestMatch, TextMatch};
pub use mirror::Mirror;
pub use names::{Asked, NameScope, NameTarget, NamedHost, Names, Outside};
pub use normalization::PathNormalization;
pub use origin::{ObjectRef, RuleRef};
pub use path::{has_path_prefix, normal_path, percent_decode};
pub use pattern::{Pattern, Substitution};
pub use persistence::{SessionCarrier, SessionPersistence};
pub use protocol::Protocol;
pub use prove::{Claim as ReachClaim, MAX_ASKED, Proof, ProofVerdict, Witness};
pub use rate_limit::{Allowance, DescriptorValue, GlobalLimit, RateLimit};
pub use reason::{Reason, Retry};
pub use retry::{RetryConditions, RetryOn, RetryPolicy, TryResult};
pub use route::{Action, RouteRule, RouteTable, Timeouts, WeightedBackend};
pub use seen::{CallerBackend, SeenBackend};
pub use trace::{NoTrace, Step, Trace, Verdict};
pub use traffic::{BackendPolicy, Limits};
pub use trust::{Trust, TrustedDomain};
