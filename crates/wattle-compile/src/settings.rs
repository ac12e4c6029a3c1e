//! What is fixed for the life of a mesh.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

/// Settings of the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Trust domain of every workload; default `cluster.local`.
    pub trust_domain: Arc<str>,
    /// Other names of it, which mean the same in policies (Istio `meshConfig.trustDomainAliases`); default none.
    pub trust_domain_aliases: Vec<Arc<str>>,
    /// DNS domain of the mesh; default `cluster.local`.
    pub cluster_domain: Arc<str>,
    /// Policies of this namespace are for the whole mesh; default `wattle-system`.
    pub root_namespace: Arc<str>,
    /// Name of the cluster in telemetry; default `default`.
    pub cluster: Arc<str>,
    /// Addresses of the cluster, for Linkerd's policies `cluster-…`; default the private ranges of RFC 1918, those shared by
    /// RFC 6598, and `fd00::/8`, as with Linkerd.
    pub cluster_networks: Arc<[IpNet]>,
}

impl Settings {
    /// The own trust domain for each of its names, else the one that is named.
    pub(crate) fn canonical(&self, trust_domain: &str) -> Arc<str> {
        let mut aliases = self.trust_domain_aliases.iter();
        if aliases.any(|alias| **alias == *trust_domain) {
            Arc::clone(&self.trust_domain)
        } else {
            trust_domain.into()
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trust_domain: "cluster.local".into(),
            trust_domain_aliases: Vec::new(),
            cluster_domain: "cluster.local".into(),
            root_namespace: "wattle-system".into(),
            cluster: "default".into(),
            cluster_networks: cluster_networks().into(),
        }
    }
}

fn cluster_networks() -> [IpNet; 5] {
    let v4 = |first: [u8; 4]| IpAddr::V4(Ipv4Addr::from(first));
    [
        (v4([10, 0, 0, 0]), 8),
        (v4([100, 64, 0, 0]), 10),
        (v4([172, 16, 0, 0]), 12),
        (v4([192, 168, 0, 0]), 16),
        (IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0)), 8),
    ]
    .map(|(first, length)| IpNet::new_assert(first, length))
}
