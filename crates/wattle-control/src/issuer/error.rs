//! Why there is no authority or no certificate of our own.

use std::path::PathBuf;

use wattle_identity::{
    AuthorityError, BundleError, KeyError, PluggedError, RevocationError, RotationError, SignError,
    SpiffeError, SvidError, TlsError,
};

use crate::store::StoreError;

/// Why there is no authority or no certificate of our own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The authority failed.
    #[error("authority failed")]
    Authority(#[from] AuthorityError),
    /// Nothing was replaced or repaired.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The control plane's own name is not one.
    #[error("own name is not valid")]
    Name(#[from] SpiffeError),
    /// No key could be made.
    #[error("no key of our own")]
    Key(#[from] KeyError),
    /// The authority would not sign.
    #[error("own certificate was not signed")]
    Sign(#[from] SignError),
    /// What it signed cannot be used.
    #[error("own certificate cannot be used")]
    Svid(#[from] SvidError),
    /// The roots make no bundle.
    #[error("trust bundle cannot be made")]
    Bundle(#[from] BundleError),
    /// TLS refused.
    #[error("TLS settings cannot be made")]
    Tls(#[from] TlsError),
    /// The runtime shut down meanwhile.
    #[error("renewal was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
    /// The roots cannot be written.
    #[error("trust bundle cannot be written to {}", .0.display())]
    Write(PathBuf, #[source] std::io::Error),
    /// A file of the settings cannot be read.
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// The files make no issuer.
    #[error("issuer in {} is not used: {}", .0.display(), .1)]
    Plugged(PathBuf, PluggedError),
    /// A directory holds neither layout.
    #[error("issuer in {} is not used: neither ca-cert.pem (Istio) nor tls.crt (cert-manager) is there", .0.display())]
    NoLayout(PathBuf),
    /// A foreign trust domain's file.
    #[error("roots of trust domain {} in {} are not used: {}", .1, .0.display(), .2)]
    Federated(PathBuf, String, BundleError),
    /// The file of revoked certificates.
    #[error("revocation lists in {} are not used: {}", .0.display(), .1)]
    Revoked(PathBuf, RevocationError),
    /// A name is given twice.
    #[error("trust domain {0} is the mesh's own, or named twice among aliases and foreign ones")]
    Twice(String),
}
