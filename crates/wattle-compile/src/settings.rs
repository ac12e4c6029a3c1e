//! What is fixed for the life of a mesh.

use std::sync::Arc;

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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trust_domain: "cluster.local".into(),
            trust_domain_aliases: Vec::new(),
            cluster_domain: "cluster.local".into(),
            root_namespace: "wattle-system".into(),
            cluster: "default".into(),
        }
    }
}
