//! Who a workload is, and how it proves it: SPIFFE names, trust bundles, certificates, their verification, and
//! the authority that signs them.
//!
//! **Owns** the name ([`SpiffeId`]), whom to believe ([`TrustBundle`], [`BundleSet`]), the proof ([`Svid`]), the one who
//! gives it ([`Authority`]), how another follows it ([`Succession`]), the first introduction ([`JoinToken`]), and the TLS 1.3 settings ([`TlsSettings`]) under which a
//! peer without a valid proof is refused with a [`Rejection`] that says why.
//!
//! **Refuses to know** sockets, files, a clock (time is an argument, or a `TimeProvider` the caller hands in) and policy:
//! it says who somebody is, never what they may do. Randomness is used for keys, serial numbers and tokens only.
//!
//! **Start reading** at [`SpiffeId`], then [`verify_peer`], which every handshake goes through, then [`TlsSettings`].
//! Every parser of outside bytes is listed in [`fuzz::ENTRIES`].

mod authority;
mod authority_error;
mod bundle;
mod certificate;
mod csr;
mod der;
mod expected;
pub mod fuzz;
mod instant;
mod issued;
mod key;
mod lifetimes;
mod lineage;
mod pem;
mod plugged;
mod profile;
mod rejection;
mod revocation;
mod spiffe;
mod succession;
mod svid;
mod ticket;
mod tls;
mod token;
mod verify;

pub use authority::Authority;
pub use authority_error::{AuthorityError, SignError};
pub use bundle::{BundleError, BundleSet, TrustBundle};
pub use csr::CsrError;
pub use der::DerError;
pub use expected::Expected;
pub use issued::Issued;
pub use key::KeyError;
pub use lifetimes::{Lifetimes, MAX_TTL};
pub use pem::PemError;
pub use plugged::{Layout, Plugged, PluggedError, PluggedFiles};
pub use rejection::Rejection;
pub use revocation::{RevocationError, RevocationLists};
pub use spiffe::{SpiffeError, SpiffeId, TrustDomain};
pub use succession::{Phase, Replaced, RotationError, Seen, Stage, Succession};
pub use svid::{Svid, SvidError, SvidRequest};
pub use tls::{ClientCertificates, TlsError, TlsSettings};
pub use token::{JoinToken, TokenError, TokenHash, TokenRecord};
pub use verify::{ClientVerifier, Peer, Purpose, ServerVerifier, peer_identity, verify_peer};
