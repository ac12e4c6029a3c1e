//! Who a workload is, and how it proves it: SPIFFE names, trust bundles, certificates, their verification, and
//! the authority that signs them.
//!
//! **Owns** the name ([`SpiffeId`]), whom to believe ([`TrustBundle`], [`BundleSet`]), the proof ([`Svid`]), the one who
//! gives it ([`Authority`]), the first introduction ([`JoinToken`]), and the TLS 1.3 settings ([`TlsSettings`]) under which a
//! peer without a valid proof is refused with a [`Rejection`] that says why.
//!
//! **Refuses to know** sockets, files, a clock (time is an argument, or a `TimeProvider` the caller hands in) and policy:
//! it says who somebody is, never what they may do. Randomness is used for keys, serial numbers and tokens only.
//!
//! **Start reading** at [`SpiffeId`], then [`verify_peer`], which every handshake goes through, then [`TlsSettings`].
//! Every parser of outside bytes is listed in [`fuzz::ENTRIES`].

mod authority;
mod bundle;
mod certificate;
mod csr;
mod expected;
pub mod fuzz;
mod instant;
mod issued;
mod key;
mod lineage;
mod pem;
mod profile;
mod rejection;
mod spiffe;
mod svid;
mod ticket;
mod tls;
mod token;
mod verify;

pub use authority::{Authority, AuthorityError, MAX_TTL, SignError};
pub use bundle::{BundleError, BundleSet, TrustBundle};
pub use csr::CsrError;
pub use expected::Expected;
pub use issued::Issued;
pub use key::KeyError;
pub use pem::PemError;
pub use rejection::Rejection;
pub use spiffe::{SpiffeError, SpiffeId, TrustDomain};
pub use svid::{Svid, SvidError, SvidRequest};
pub use tls::{ClientCertificates, TlsError, TlsSettings};
pub use token::{JoinToken, TokenError, TokenHash, TokenRecord};
pub use verify::{ClientVerifier, Peer, Purpose, ServerVerifier, peer_identity, verify_peer};
