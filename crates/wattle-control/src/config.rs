//! What a control plane is told when it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wattle_compile::Settings;
use wattle_identity::Lifetimes;
use wattle_net::Clock;
use wattle_source::Directory;

use crate::keys::KeySettings;

/// Port of discovery and certificates.
pub const DISCOVERY_PORT: u16 = 15012;
/// Port of metrics and probes.
pub const METRICS_PORT: u16 = 15014;

/// Start-up settings of a control plane.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// Directories of manifests, watched; where two hold the same object the first wins.
    pub directories: Vec<Directory>,
    /// Discovery and certificates for proxies, over mutual TLS; default all addresses, [`DISCOVERY_PORT`].
    pub discovery: SocketAddr,
    /// `/metrics`, `/ready` and `/healthz` for scrapers and probes; default all addresses, [`METRICS_PORT`].
    pub metrics: SocketAddr,
    /// Unix socket of the admin API, only for its owner; default `admin.sock` in [`Self::state`].
    pub admin: PathBuf,
    /// Directory for what must survive a restart: keys, join tokens, virtual addresses; only for its owner.
    pub state: PathBuf,
    /// Trust domain, DNS domain, root namespace and cluster name.
    pub settings: Settings,
    /// How keys of token issuers are fetched.
    pub keys: KeySettings,
    /// Who signs, and whom else to believe.
    pub trust: TrustSettings,
    /// Longest wait for streams to end when stopping, default 2 s.
    pub drain: Duration,
    /// By which certificates and tokens begin and end, default the system's; tests move it.
    pub clock: Clock,
}

/// Who signs certificates, and whom to believe besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustSettings {
    /// Lives of root, issuer and workload certificates that are made from now on.
    pub lifetimes: Lifetimes,
    /// Directory with an issuer to use in place of an own one: Istio's `cacerts` or a Secret of cert-manager, watched.
    pub issuer: Option<PathBuf>,
    /// Other names of the mesh's own trust domain (Istio `meshConfig.trustDomainAliases`).
    pub aliases: Vec<Arc<str>>,
    /// Foreign trust domains with the PEM file of their roots, watched.
    pub federated: Vec<(Arc<str>, PathBuf)>,
    /// PEM file of further roots of the mesh's own trust domain, watched: those of another authority that gives some of its
    /// workloads their certificates, such as SPIRE.
    pub accepted: Option<PathBuf>,
    /// PEM file of revocation lists, watched.
    pub revoked: Option<PathBuf>,
}

impl ControlConfig {
    /// Defaults of DESIGN §8 with this state directory and these directories of manifests.
    pub fn new(state: impl Into<PathBuf>, directories: Vec<Directory>) -> Self {
        let state = state.into();
        Self {
            directories,
            discovery: SocketAddr::from((Ipv4Addr::UNSPECIFIED, DISCOVERY_PORT)),
            metrics: SocketAddr::from((Ipv4Addr::UNSPECIFIED, METRICS_PORT)),
            admin: state.join("admin.sock"),
            state,
            settings: Settings::default(),
            keys: KeySettings::default(),
            trust: TrustSettings::default(),
            drain: Duration::from_secs(2),
            clock: Clock::default(),
        }
    }

    /// Where the trust bundle is written for proxies and the supervisor.
    pub fn roots_path(&self) -> PathBuf {
        self.state.join("roots.pem")
    }
}
