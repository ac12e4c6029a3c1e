//! Names: the DNS proxy inside a captured network namespace, and resolution of endpoints that are names.
//!
//! **Owns** the table of names a workload sees ([`Names`]), what is answered from it ([`answer`](mod@answer)), the
//! proxy that answers or forwards ([`Server`]), the resolvers behind it ([`ResolvConf`], [`Upstream`]), resolution of
//! single names ([`Resolver`]) and of a set that is kept fresh ([`Watch`]).
//!
//! **Refuses to know** the mesh, its model, policy and HTTP: names and addresses come in as plain values, and nobody
//! is told why a name has the address it has. It caches nothing and validates no DNSSEC.
//!
//! What is not in the table is forwarded byte for byte, whatever its type, unless the table keeps the workload to some
//! names outside ([`Outside`]); a name that is in the table never becomes
//! "no such name".
//!
//! **Start reading** at [`Names`], then [`answer`](mod@answer), then [`Server`].

pub mod answer;
mod counters;
mod names;
mod outside;
mod question;
mod resolv_conf;
mod resolver;
mod server;
mod upstream;
mod watch;

pub use answer::{Chase, Transport, Verdict, answer};
pub use counters::{Counters, Counts};
pub use names::{Host, MAX_ADDRESSES, MAX_NAMES, MAX_SEARCH, NameError, Names, NamesBuilder, TTL};
pub use outside::Outside;
pub use resolv_conf::{MAX_RESOLVERS, ResolvConf, ResolvConfError};
pub use resolver::{MAX_TTL, MIN_TTL, ResolveError, Resolved, Resolver};
pub use server::{Limits, Server, ServerError, ServerOptions};
pub use upstream::{Outward, Upstream, UpstreamError};
pub use watch::{Change, MAX_WATCHED, Watch, WatchError};

/// Where the proxy hears redirected DNS, over UDP and TCP, by default (Istio's port).
pub const PORT: u16 = 15053;
