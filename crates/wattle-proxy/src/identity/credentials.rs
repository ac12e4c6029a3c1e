//! One certificate with the trust bundle of its time, and the TLS settings made of both.

use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};
use wattle_identity::{
    BundleSet, ClientCertificates, Expected, SpiffeId, Svid, TlsSettings, TrustBundle, TrustDomain,
};
use wattle_net::Clock;

/// Application protocols on connections between proxies. All but the first are Istio's, so that a Wattle workload and
/// an Istio workload under one root can talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpn {
    /// Requests of any version multiplexed on HTTP/2; between two Wattle proxies.
    Multiplexed,
    /// HTTP/2 as the application speaks it.
    Http2,
    /// The same to a program that holds a certificate of the mesh itself; its token is no mark of the mesh.
    Program,
    /// HTTP/1.1 as the application speaks it.
    Http1,
    /// Opaque bytes.
    Opaque,
}

impl Alpn {
    /// The token on the wire.
    pub(crate) fn token(self) -> &'static [u8] {
        match self {
            Self::Multiplexed => b"wattle-h2",
            Self::Http2 => b"istio-h2",
            Self::Program => HTTP2,
            Self::Http1 => b"istio-http/1.1",
            Self::Opaque => b"istio",
        }
    }

    /// The meaning of a token that a server chose of those offered.
    pub(crate) fn chosen(token: &[u8]) -> Option<Self> {
        Self::from_token(token).or((token == HTTP2).then_some(Self::Program))
    }

    /// The meaning of a token; `None` for one that no mesh proxy uses.
    pub(crate) fn from_token(token: &[u8]) -> Option<Self> {
        match token {
            b"wattle-h2" => Some(Self::Multiplexed),
            b"istio-h2" => Some(Self::Http2),
            b"istio-http/1.1" | b"istio-http/1.0" => Some(Self::Http1),
            b"istio" | b"istio-peer-exchange" => Some(Self::Opaque),
            _ => None,
        }
    }
}

/// What programs offer that hold a certificate of the mesh themselves, such as those that gRPC configures over xDS. No mark
/// of the mesh: the application's own TLS offers it as well.
pub(crate) const HTTP2: &[u8] = b"h2";

/// Tokens accepted from other proxies, most preferred first, and then from programs.
const ACCEPTED: &[&[u8]] = &[
    b"wattle-h2",
    b"istio-h2",
    b"istio-http/1.1",
    b"istio-http/1.0",
    b"istio-peer-exchange",
    b"istio",
    HTTP2,
];

/// A certificate in use.
pub(crate) struct Credentials {
    svid: Arc<Svid>,
    bundles: Arc<BundleSet>,
    /// Other names of the own trust domain.
    aliases: Vec<Arc<str>>,
    tls: TlsSettings,
    /// Under the roots that the control plane may have.
    control: TlsSettings,
    server: Arc<ServerConfig>,
    clock: Arc<Clock>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("svid", &self.svid)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Prepares TLS for a certificate; fails when the TLS library refuses it.
    pub(crate) fn new(
        svid: Arc<Svid>,
        bundles: Arc<BundleSet>,
        clock: &Clock,
    ) -> Result<Self, wattle_identity::TlsError> {
        let clock = Arc::new(clock.clone());
        let tls = TlsSettings::new(bundles.clone(), &[]).with_clock(clock.clone());
        let server = tls
            .clone()
            .with_alpn(ACCEPTED)
            .server(&svid, ClientCertificates::Required)?;
        Ok(Self {
            svid,
            bundles,
            aliases: Vec::new(),
            control: tls.clone(),
            tls,
            server,
            clock,
        })
    }

    /// The same where these names mean the own trust domain.
    pub(crate) fn with_aliases(self, aliases: Vec<Arc<str>>) -> Self {
        Self { aliases, ..self }
    }

    /// The same with other roots for the control plane.
    pub(crate) fn with_control_roots(self, bundles: Arc<BundleSet>) -> Self {
        Self {
            control: TlsSettings::new(bundles, &[]).with_clock(self.clock.clone()),
            ..self
        }
    }

    /// A name as policies know it: an alias of the own trust domain is the own trust domain.
    pub(crate) fn canonical(&self, id: SpiffeId) -> SpiffeId {
        if !self.aliases.iter().any(|alias| **alias == *id.trust_domain()) {
            return id;
        }
        let own = TrustDomain::new(self.svid.id().trust_domain());
        own.and_then(|own| SpiffeId::new(&own, id.namespace(), id.service_account()))
            .unwrap_or(id)
    }

    /// The same workload under every name of the own trust domain.
    fn names(&self, id: &SpiffeId) -> Expected {
        let own = self.svid.id().trust_domain() == id.trust_domain();
        let aliases = self.aliases.iter().filter(|_| own);
        let aliases = aliases.filter_map(|alias| {
            SpiffeId::new(
                &TrustDomain::new(alias).ok()?,
                id.namespace(),
                id.service_account(),
            )
            .ok()
        });
        std::iter::once(id.clone()).chain(aliases).collect()
    }

    /// Whom to believe, and what is revoked.
    pub(crate) fn bundles(&self) -> &Arc<BundleSet> {
        &self.bundles
    }

    /// The certificate.
    pub(crate) fn svid(&self) -> &Arc<Svid> {
        &self.svid
    }

    /// The roots of its own trust domain, as PEM; empty without any. Another domain's would there vouch for every name.
    pub(crate) fn roots_pem(&self) -> String {
        self.own_roots().map(TrustBundle::to_pem).unwrap_or_default()
    }

    /// The roots of its own trust domain.
    pub(crate) fn own_roots(&self) -> Option<&TrustBundle> {
        self.bundles.bundle(self.svid.id().trust_domain())
    }

    /// For accepting connections of other proxies.
    pub(crate) fn server(&self) -> &Arc<ServerConfig> {
        &self.server
    }

    /// For dialling a proxy that must be exactly `expected`, offering these protocols.
    pub(crate) fn client(
        &self,
        expected: SpiffeId,
        offer: &[Alpn],
    ) -> Result<Arc<ClientConfig>, wattle_identity::TlsError> {
        let tokens: Vec<&[u8]> = offer.iter().map(|alpn| alpn.token()).collect();
        self.tls
            .clone()
            .with_alpn(&tokens)
            .client(&self.svid, self.names(&expected))
    }

    /// For dialling the control plane over gRPC.
    pub(crate) fn control_client(
        &self,
        control: &SpiffeId,
    ) -> Result<Arc<ClientConfig>, wattle_identity::TlsError> {
        self.control
            .clone()
            .with_alpn(&[b"h2"])
            .client(&self.svid, Expected::only(control.clone()))
    }
}
