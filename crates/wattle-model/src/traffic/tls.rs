//! How connections to a backend are secured.

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

/// Files on the proxy's machine; `None` for the roots is the system's, for the others no certificate of one's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Roots, PEM.
    pub roots: Option<Box<str>>,
    /// Own certificate chain, PEM.
    pub certificate: Option<Box<str>>,
    /// Its private key, PEM.
    pub key: Option<Box<str>>,
    /// Revoked certificates, PEM.
    pub revoked: Option<Box<str>>,
}
