//! Core Kubernetes kinds: Service, Namespace and ServiceAccount.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded, Fields};
use crate::meta::Labels;
use crate::scalar::{self, Port};
use crate::tree::{Value, quote};

mod traffic;

pub use traffic::{ServiceTraffic, TrafficDistribution};

/// Most ports of a Service.
const MAX_PORTS: usize = 100;

/// `spec` of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// How the Service is reached; default ClusterIP.
    #[serde(rename = "type")]
    pub exposure: Exposure,
    /// Its virtual address.
    #[serde(rename = "clusterIP", skip_serializing_if = "ClusterIp::is_assigned")]
    pub cluster_ip: ClusterIp,
    /// Labels its endpoints have; empty means that endpoints are managed by hand.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub selector: Labels,
    /// Its ports, names and numbers unique; empty only when headless or ExternalName.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ServicePort>,
    /// The name an ExternalName Service stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_name: Option<String>,
    /// Which endpoints a client should use.
    #[serde(flatten)]
    pub traffic: ServiceTraffic,
}

/// One port of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// RFC 1123 label; there whenever the Service has more than one port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The port clients dial.
    pub port: Port,
    /// The port endpoints listen on; default the same number.
    pub target_port: TargetPort,
    /// Default TCP.
    pub protocol: Protocol,
    /// The application protocol as declared, such as `http`, `grpc` or `kubernetes.io/h2c`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
}

/// How a Service is reached (`spec.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum Exposure {
    /// A virtual address inside the mesh.
    #[default]
    #[serde(rename = "ClusterIP")]
    ClusterIp,
    /// Also a port on every node.
    NodePort,
    /// Also an address outside.
    LoadBalancer,
    /// An alias of a DNS name.
    ExternalName,
}

/// The virtual address of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClusterIp {
    /// The mesh assigns one.
    #[default]
    Assigned,
    /// `None`: headless; clients see the endpoints' addresses.
    Headless,
    /// This one.
    Fixed(IpAddr),
}

impl ClusterIp {
    fn is_assigned(&self) -> bool {
        *self == Self::Assigned
    }
}

impl Serialize for ClusterIp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Assigned => serializer.serialize_str(""),
            Self::Headless => serializer.serialize_str("None"),
            Self::Fixed(address) => serializer.collect_str(address),
        }
    }
}

/// The port an endpoint listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TargetPort {
    /// By number.
    Number(Port),
    /// By the name of one of the workload's ports.
    Name(String),
}

impl fmt::Display for TargetPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(port) => port.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP; not proxied.
    Udp,
    /// SCTP; not proxied.
    Sctp,
}

/// A Namespace; only its labels and annotations mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Namespace {}

/// A ServiceAccount; it exists, nothing more is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ServiceAccount {}

const SERVICE_FIELDS: &[&str] = &[
    "type",
    "clusterIP",
    "selector",
    "ports",
    "externalName",
    // Kubernetes' own plumbing, which the mesh neither needs nor changes.
    "clusterIPs",
    "ipFamilies",
    "ipFamilyPolicy",
    "externalTrafficPolicy",
    "externalIPs",
    "loadBalancerIP",
    "loadBalancerClass",
    "loadBalancerSourceRanges",
    "allocateLoadBalancerNodePorts",
    "healthCheckNodePort",
];

pub(crate) fn service(cursor: &Cursor<'_>) -> Decoded<Service> {
    let fields = cursor.fields(&[SERVICE_FIELDS, &traffic::FIELDS].concat())?;
    let exposure = fields.optional("type", exposure);
    let cluster_ip = fields.optional("clusterIP", cluster_ip);
    let selector = fields.optional("selector", scalar::labels);
    let ports = fields.list("ports", MAX_PORTS, service_port);
    let external_name = fields.optional("externalName", |at| scalar::hostname(at, false));
    let traffic = traffic::traffic(&fields);
    let service = Service {
        exposure: exposure?.unwrap_or_default(),
        cluster_ip: cluster_ip?.unwrap_or_default(),
        selector: selector?.unwrap_or_default(),
        ports: ports?,
        external_name: external_name?,
        traffic: traffic?,
    };
    check(&service, &fields)?;
    Ok(service)
}

fn exposure(cursor: &Cursor<'_>) -> Decoded<Exposure> {
    scalar::word(
        cursor,
        &[
            ("ClusterIP", Exposure::ClusterIp),
            ("NodePort", Exposure::NodePort),
            ("LoadBalancer", Exposure::LoadBalancer),
            ("ExternalName", Exposure::ExternalName),
        ],
    )
}

fn cluster_ip(cursor: &Cursor<'_>) -> Decoded<ClusterIp> {
    match scalar::text(cursor)?.as_str() {
        "" => Ok(ClusterIp::Assigned),
        "None" => Ok(ClusterIp::Headless),
        other => other.parse().map(ClusterIp::Fixed).map_err(|_| {
            cursor.refuse(
                "invalid-address",
                format!("found {}, expected an address or None", quote(other)),
            )
        }),
    }
}

fn service_port(cursor: &Cursor<'_>) -> Decoded<ServicePort> {
    let fields = cursor.fields(&[
        "name",
        "port",
        "targetPort",
        "protocol",
        "appProtocol",
        "nodePort",
    ])?;
    let name = fields.optional("name", scalar::label);
    let port = fields.required("port", scalar::port);
    let target_port = fields.optional("targetPort", target_port);
    let protocol = fields.optional("protocol", protocol);
    let app_protocol = fields.optional("appProtocol", scalar::filled);
    let port = port?;
    Ok(ServicePort {
        name: name?,
        port,
        target_port: target_port?.unwrap_or(TargetPort::Number(port)),
        protocol: protocol?.unwrap_or_default(),
        app_protocol: app_protocol?,
    })
}

pub(crate) fn protocol(cursor: &Cursor<'_>) -> Decoded<Protocol> {
    scalar::word(
        cursor,
        &[
            ("TCP", Protocol::Tcp),
            ("UDP", Protocol::Udp),
            ("SCTP", Protocol::Sctp),
        ],
    )
}

pub(crate) fn target_port(cursor: &Cursor<'_>) -> Decoded<TargetPort> {
    match &cursor.node.value {
        Value::Int(_) => scalar::port(cursor).map(TargetPort::Number),
        Value::Text(_) => port_name(cursor).map(TargetPort::Name),
        _ => Err(cursor.mistyped("a port number or a port name")),
    }
}

/// The name of a container's port: at most 15 characters with a letter among them (RFC 6335).
pub(crate) fn port_name(cursor: &Cursor<'_>) -> Decoded<String> {
    let name = scalar::label(cursor)?;
    if name.parse::<u16>().is_ok() {
        let reason = format!("found the text {}, expected a number or a name", quote(&name));
        return Err(cursor.refuse_with("invalid-name", reason, "write the number without quotes"));
    }
    if name.len() > 15 || !name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        let reason = format!(
            "found {}, expected at most 15 characters with a letter among them",
            quote(&name)
        );
        return Err(cursor.refuse("invalid-name", reason));
    }
    Ok(name)
}

fn check(service: &Service, fields: &Fields<'_>) -> Decoded<()> {
    let outside = service.exposure == Exposure::ExternalName;
    if outside && service.external_name.is_none() {
        return Err(fields.refuse("missing-field", "type ExternalName needs externalName"));
    }
    if service.ports.is_empty() && !outside && service.cluster_ip != ClusterIp::Headless {
        return Err(fields.refuse("missing-field", "a Service needs at least one port"));
    }
    let mut names = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    for port in &service.ports {
        if service.ports.len() > 1 && port.name.is_none() {
            return Err(fields.refuse("missing-field", "with several ports each needs a name"));
        }
        if port.name.as_ref().is_some_and(|name| !names.insert(name)) {
            return Err(fields.refuse("duplicate-port", "two ports have the same name"));
        }
        if !numbers.insert((port.protocol, port.port)) {
            return Err(fields.refuse(
                "duplicate-port",
                format!("two ports have the number {}", port.port),
            ));
        }
    }
    Ok(())
}
