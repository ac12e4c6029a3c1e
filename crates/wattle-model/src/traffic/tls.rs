//! How connections to a backend are secured.

use std::fmt;
use std::sync::Arc;

/// Istio `tls`, Gateway API `BackendTLSPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UpstreamTls {
    /// As each endpoint asks: the mesh's own mutual TLS where there is a proxy, else as the application sent it.
    #[default]
    Mesh,
    /// None, whatever the endpoint asks (Istio `DISABLE`).
    Disabled,
    /// The mesh's own mutual TLS, whatever the endpoint asks (Istio `ISTIO_MUTUAL`).
    MeshMutual,
    /// TLS of the outside world.
    Origination {
        /// Name in the ClientHello; when `None` the host of the backend's service, and where that is a wildcard the request's.
        sni: Option<Box<str>>,
        /// Names one of which the certificate must have; empty: the name in the ClientHello.
        names: Vec<SubjectName>,
        /// Roots and own certificate.
        files: TlsFiles,
        /// Any certificate will do (Istio `insecureSkipVerify`); never the default.
        unverified: bool,
    },
}

/// A name that a certificate must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectName {
    /// A DNS name.
    Dns(Box<str>),
    /// A URI.
    Uri(Box<str>),
}

/// What TLS is made of, for the most part files on the proxy's machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Who may have signed the server's certificate.
    pub roots: Roots,
    /// Own certificate chain, PEM; `None`: no certificate is shown.
    pub certificate: Option<Box<str>>,
    /// Its private key, PEM.
    pub key: Option<Box<str>>,
    /// Revoked certificates, PEM.
    pub revoked: Option<Box<str>>,
}

/// Roots to believe.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Roots {
    /// Those of the proxy's machine.
    #[default]
    System,
    /// Those of a PEM file on the proxy's machine.
    File(Box<str>),
    /// These, PEM.
    Given(Arc<str>),
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("System"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Given(pem) => write!(f, "Given({} bytes)", pem.len()),
        }
    }
}
