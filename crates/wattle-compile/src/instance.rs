//! A workload as the compiler sees it, whether a WorkloadEntry or a Process describes it.

use std::net::IpAddr;
use std::sync::Arc;

use wattle_api::{
    AccessPolicy, Address, Labels, LinkerdAnnotations, Meta, ObjectKey, PortRanges, Process, Protocol,
    Resource, WorkloadEntry,
};
use wattle_model::{EndpointHealth, Locality, Workload};

use crate::{Name, Settings};

const PROXY: &str = "wattle.io/proxy";
const INJECT: &str = "wattle.io/inject";
const WORKLOAD: &str = "wattle.io/workload";

/// A workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// The WorkloadEntry or Process.
    pub key: ObjectKey,
    /// Labels that selectors look at.
    pub labels: Labels,
    /// Who it is, for identity and telemetry.
    pub workload: Arc<Workload>,
    /// Where it is reached; `None` for a Process, whose running copies are WorkloadEntries.
    pub address: Option<IpAddr>,
    /// Its ports.
    pub ports: Vec<InstancePort>,
    /// True when it has a proxy, and so an identity.
    pub meshed: bool,
    /// Whether it is ready.
    pub health: EndpointHealth,
    /// Share relative to others, at least 1.
    pub weight: u32,
    /// Where it runs.
    pub locality: Locality,
    /// Ports whose bytes are not looked at (`config.linkerd.io/opaque-ports`).
    pub opaque_ports: PortRanges,
    /// What becomes of ports without a Server (`config.linkerd.io/default-inbound-policy`).
    pub default_policy: Option<AccessPolicy>,
}

/// A port of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstancePort {
    /// Its name, if it has one.
    pub name: Option<Box<str>>,
    /// Its number.
    pub port: u16,
    /// The application protocol as declared.
    pub app_protocol: Option<Box<str>>,
}

impl Instance {
    /// Namespace and name of the object.
    pub fn name(&self) -> Name {
        (Arc::clone(&self.key.namespace), Arc::clone(&self.key.name))
    }

    /// The number of the port of this name.
    pub fn port_named(&self, name: &str) -> Option<u16> {
        self.ports
            .iter()
            .find(|port| port.name.as_deref() == Some(name))
            .map(|port| port.port)
    }

    pub(crate) fn of_entry(entry: &Resource<WorkloadEntry>, settings: &Settings) -> Self {
        let mut labels = entry.meta.labels.clone();
        labels.extend(entry.spec.labels.clone());
        let meshed = says(&entry.meta, &labels, PROXY) == Some("enabled");
        let name = says(&entry.meta, &labels, WORKLOAD).unwrap_or_else(|| without_number(&entry.meta.name));
        let account = entry.spec.service_account.as_deref().unwrap_or("default");
        let account = meshed.then_some(account);
        let health = match entry.spec.healthy {
            Some(false) => EndpointHealth::Unhealthy,
            _ => EndpointHealth::Healthy,
        };
        let port = |(name, port): (&String, &wattle_api::Port)| InstancePort {
            name: Some(name.as_str().into()),
            port: port.number(),
            app_protocol: None,
        };
        Self {
            key: entry.meta.key(wattle_api::Kind::WorkloadEntry),
            workload: Arc::new(describe(&entry.meta, &labels, name, account, settings)),
            address: match entry.spec.address {
                Address::Ip(address) => Some(address),
                _ => None,
            },
            ports: entry.spec.ports.iter().map(port).collect(),
            meshed,
            health,
            weight: entry.spec.weight.unwrap_or(1),
            locality: match entry.spec.locality.as_deref() {
                Some(written) => locality(written),
                None => of_labels(&labels),
            },
            opaque_ports: opaque_ports(&entry.meta),
            default_policy: LinkerdAnnotations::of(&entry.meta).default_inbound_policy,
            labels,
        }
    }

    pub(crate) fn of_process(process: &Resource<Process>, settings: &Settings) -> Self {
        let labels = process.meta.labels.clone();
        let meshed = process.spec.proxy.enabled && says(&process.meta, &labels, INJECT) != Some("disabled");
        let account = meshed.then_some(&*process.spec.service_account_name);
        let tcp = process
            .spec
            .ports
            .iter()
            .filter(|port| port.protocol == Protocol::Tcp);
        let ports = tcp.map(|port| InstancePort {
            name: port.name.as_deref().map(Into::into),
            port: port.port.number(),
            app_protocol: port.app_protocol.as_deref().map(Into::into),
        });
        Self {
            key: process.meta.key(wattle_api::Kind::Process),
            workload: Arc::new(describe(
                &process.meta,
                &labels,
                &process.meta.name,
                account,
                settings,
            )),
            address: None,
            ports: ports.collect(),
            meshed,
            health: EndpointHealth::Healthy,
            weight: 1,
            locality: of_labels(&labels),
            opaque_ports: opaque_ports(&process.meta),
            default_policy: LinkerdAnnotations::of(&process.meta).default_inbound_policy,
            labels,
        }
    }
}

fn says<'a>(meta: &'a Meta, labels: &'a Labels, key: &str) -> Option<&'a str> {
    labels
        .get(key)
        .or_else(|| meta.annotations.get(key))
        .map(String::as_str)
}

fn opaque_ports(meta: &Meta) -> PortRanges {
    LinkerdAnnotations::of(meta).opaque_ports.unwrap_or_default()
}

/// `reviews-v1-0` is copy 0 of `reviews-v1`.
pub(crate) fn without_number(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((stem, copy)) if !copy.is_empty() && copy.bytes().all(|byte| byte.is_ascii_digit()) => stem,
        _ => name,
    }
}

fn describe(
    meta: &Meta,
    labels: &Labels,
    name: &str,
    account: Option<&str>,
    settings: &Settings,
) -> Workload {
    let label = |keys: &[&str]| keys.iter().find_map(|key| labels.get(*key)).map(String::as_str);
    let canonical =
        label(&["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"]).unwrap_or(name);
    let revision = label(&[
        "service.istio.io/canonical-revision",
        "app.kubernetes.io/version",
        "version",
    ])
    .unwrap_or("latest");
    Workload {
        namespace: Arc::clone(&meta.namespace),
        name: name.into(),
        instance: Arc::clone(&meta.name),
        service_account: account.unwrap_or("").into(),
        trust_domain: if account.is_some() {
            Arc::clone(&settings.trust_domain)
        } else {
            "".into()
        },
        app: label(&["app"]).unwrap_or(canonical).into(),
        version: label(&["version"]).unwrap_or("").into(),
        canonical_service: canonical.into(),
        canonical_revision: revision.into(),
        cluster: Arc::clone(&settings.cluster),
    }
}

/// What Kubernetes' well-known labels of topology say.
fn of_labels(labels: &Labels) -> Locality {
    let label = |key: &str| labels.get(key).map(String::as_str).unwrap_or_default().into();
    Locality {
        region: label("topology.kubernetes.io/region"),
        zone: label("topology.kubernetes.io/zone"),
        subzone: label("topology.istio.io/subzone"),
    }
}

pub(crate) fn locality(text: &str) -> Locality {
    let mut parts = text.splitn(3, '/').map(Arc::from);
    let mut next = || parts.next().unwrap_or_default();
    Locality {
        region: next(),
        zone: next(),
        subzone: next(),
    }
}
