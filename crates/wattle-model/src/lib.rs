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

mod authorization;
mod authorize;
mod compare;
mod decide;
mod destination;
mod endpoint;
mod facts;
mod filter;
mod inbound;
mod matching;
mod origin;
mod path;
pub mod port;
mod protocol;
mod reason;
mod route;
mod trace;

pub use authorization::{Authorization, Condition, IpBlock, Operation, Policy, PolicyRule, Source};
pub use authorize::AuthorizationDecision;
pub use compare::Mismatch;
pub use decide::{Outcome, RouteDecision, Share};
pub use destination::{Backend, BackendId, Destination, ServicePort};
pub use endpoint::{Endpoint, EndpointHealth, Endpoints, Hop, Locality};
pub use facts::{ConnectionFacts, PeerFacts, RequestFacts};
pub use filter::{Filters, HeaderModifier, PathRewrite, Redirect, UrlRewrite};
pub use inbound::{EffectivePort, Inbound, InboundPort, MtlsMode, Refusal, Workload};
pub use matching::{HeaderMatch, PathMatch, Pattern, QueryMatch, RequestMatch, TextMatch};
pub use origin::{ObjectRef, RuleRef};
pub use path::{has_path_prefix, normal_path, percent_decode};
pub use protocol::Protocol;
pub use reason::{Reason, Retry};
pub use route::{Action, RouteRule, RouteTable, Timeouts, WeightedBackend};
pub use trace::{NoTrace, Step, Trace, Verdict};
