//! Kubernetes EndpointSlice: where a Service without a selector, or any other, is reached.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Serialize;

use crate::core::{Protocol, protocol};
use crate::decode::{Cursor, Decoded, Fields};
use crate::object::Resource;
use crate::scalar::{self, Port};
use crate::tree::quote;
use crate::workload::Address;

/// Most endpoints of a slice (Kubernetes).
const MAX_ENDPOINTS: usize = 1000;
/// Most addresses of an endpoint, and ports of a slice (Kubernetes allows more ports, nobody has them).
const MAX_ITEMS: usize = 100;
/// Most hints of an endpoint (Kubernetes).
const MAX_HINTS: usize = 8;

/// The label that names the Service of a slice.
const SERVICE: &str = "kubernetes.io/service-name";

/// The fields of an EndpointSlice; unlike other kinds it has them beside `metadata`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSlice {
    /// What its addresses are.
    pub address_type: AddressType,
    /// The endpoints, at most 1000.
    pub endpoints: Vec<SliceEndpoint>,
    /// Ports of every endpoint, names unique, at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<SlicePort>,
}

/// What the addresses of a slice are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum AddressType {
    /// IPv4 addresses.
    #[serde(rename = "IPv4")]
    Ipv4,
    /// IPv6 addresses.
    #[serde(rename = "IPv6")]
    Ipv6,
    /// DNS names.
    #[serde(rename = "FQDN")]
    Fqdn,
}

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SliceEndpoint {
    /// Addresses of the slice's type, which mean the same; clients use the first. At least one.
    pub addresses: Vec<Address>,
    /// Its state.
    pub conditions: EndpointConditions,
    /// Its host name inside a headless Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The node it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// The zone it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The object behind it, such as a Pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_ref: Option<EndpointTarget>,
    /// Who should prefer it; none means anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hints: Option<EndpointHints>,
}

/// State of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EndpointConditions {
    /// It takes new connections; default true, since who says nothing is ready.
    pub ready: bool,
    /// It answers, whether it is ending or not; default as `ready`.
    pub serving: bool,
    /// It is ending; default false.
    pub terminating: bool,
}

/// The object behind an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndpointTarget {
    /// Kind, such as Pod; may be empty.
    pub kind: String,
    /// Namespace; may be empty.
    pub namespace: String,
    /// Name; may be empty.
    pub name: String,
}

/// Who should prefer an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointHints {
    /// Clients in these zones; at most 8.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "named")]
    pub for_zones: Vec<String>,
    /// Clients on these nodes; at most 8.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "named")]
    pub for_nodes: Vec<String>,
}

/// A port of every endpoint of a slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlicePort {
    /// Name of the Service port; empty for a Service with one port without a name.
    pub name: String,
    /// Number; none means every port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// Default TCP.
    pub protocol: Protocol,
    /// The application protocol as declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
}

impl Resource<EndpointSlice> {
    /// Name of the Service it belongs to, in its own namespace, as the label `kubernetes.io/service-name` says.
    #[must_use]
    pub fn service_name(&self) -> Option<&str> {
        self.meta.labels.get(SERVICE).map(String::as_str)
    }
}

fn named<S: serde::Serializer>(names: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(
        names
            .iter()
            .map(|name| std::collections::BTreeMap::from([("name", name)])),
    )
}

/// Decodes the fields beside `metadata`.
pub(crate) fn endpoint_slice(fields: &Fields<'_>) -> Decoded<EndpointSlice> {
    let types = [
        ("IPv4", AddressType::Ipv4),
        ("IPv6", AddressType::Ipv6),
        ("FQDN", AddressType::Fqdn),
    ];
    let address_type = fields.required("addressType", |at| scalar::word(at, &types))?;
    let endpoints = fields.list("endpoints", MAX_ENDPOINTS, |at| endpoint(at, address_type));
    let ports = fields.optional("ports", ports);
    Ok(EndpointSlice {
        address_type,
        endpoints: endpoints?,
        ports: ports?.unwrap_or_default(),
    })
}

fn ports(cursor: &Cursor<'_>) -> Decoded<Vec<SlicePort>> {
    let ports = cursor.list(MAX_ITEMS, port)?;
    let mut names = BTreeSet::new();
    match ports.iter().find(|port| !names.insert(&port.name)) {
        None => Ok(ports),
        Some(twice) => {
            let reason = format!("two ports have the name {}", quote(&twice.name));
            Err(cursor.refuse("duplicate-port", reason))
        }
    }
}

fn endpoint(cursor: &Cursor<'_>, of: AddressType) -> Decoded<SliceEndpoint> {
    let known = [
        "addresses",
        "conditions",
        "hostname",
        "nodeName",
        "zone",
        "targetRef",
        "hints",
        "deprecatedTopology",
    ];
    let fields = cursor.fields(&known)?;
    fields.without_effect(&["deprecatedTopology"]);
    let addresses = fields.required("addresses", |at| {
        let addresses = at.list(MAX_ITEMS, |at| address(at, of))?;
        if addresses.is_empty() {
            return Err(at.refuse("empty", "found no address, expected at least one"));
        }
        Ok(addresses)
    });
    let conditions = fields.optional("conditions", conditions);
    let hostname = fields.optional("hostname", scalar::label);
    let node_name = fields.optional("nodeName", scalar::subdomain);
    let zone = fields.optional("zone", scalar::filled);
    let target_ref = fields.optional("targetRef", target);
    let hints = fields.optional("hints", hints);
    Ok(SliceEndpoint {
        addresses: addresses?,
        conditions: conditions?.unwrap_or(EndpointConditions {
            ready: true,
            serving: true,
            terminating: false,
        }),
        hostname: hostname?,
        node_name: node_name?,
        zone: zone?,
        target_ref: target_ref?,
        hints: hints?,
    })
}

fn address(cursor: &Cursor<'_>, of: AddressType) -> Decoded<Address> {
    if of == AddressType::Fqdn {
        return scalar::hostname(cursor, false).map(Address::Host);
    }
    let text = scalar::text(cursor)?;
    let fits = |address: &IpAddr| address.is_ipv4() == (of == AddressType::Ipv4);
    // Nothing listens on these two, whoever wrote them.
    let reachable = |address: &IpAddr| !address.is_unspecified() && !address.is_multicast();
    match text.parse().ok().filter(fits).filter(reachable) {
        Some(address) => Ok(Address::Ip(address)),
        None => {
            let family = if of == AddressType::Ipv4 { "IPv4" } else { "IPv6" };
            let reason = format!("found {}, expected an {family} address of one host", quote(&text));
            Err(cursor.refuse("invalid-address", reason))
        }
    }
}

fn conditions(cursor: &Cursor<'_>) -> Decoded<EndpointConditions> {
    let fields = cursor.fields(&["ready", "serving", "terminating"])?;
    let ready = fields.optional("ready", scalar::flag);
    let serving = fields.optional("serving", scalar::flag);
    let terminating = fields.optional("terminating", scalar::flag);
    let ready = ready?.unwrap_or(true);
    Ok(EndpointConditions {
        ready,
        serving: serving?.unwrap_or(ready),
        terminating: terminating?.unwrap_or(false),
    })
}

fn target(cursor: &Cursor<'_>) -> Decoded<EndpointTarget> {
    // The rest of an ObjectReference says which version of the object was meant, not which object.
    let known = [
        "kind",
        "namespace",
        "name",
        "uid",
        "apiVersion",
        "resourceVersion",
        "fieldPath",
    ];
    let fields = cursor.fields(&known)?;
    let kind = fields.optional("kind", scalar::text);
    let namespace = fields.optional("namespace", scalar::text);
    let name = fields.optional("name", scalar::text);
    Ok(EndpointTarget {
        kind: kind?.unwrap_or_default(),
        namespace: namespace?.unwrap_or_default(),
        name: name?.unwrap_or_default(),
    })
}

fn hints(cursor: &Cursor<'_>) -> Decoded<EndpointHints> {
    let fields = cursor.fields(&["forZones", "forNodes"])?;
    let name = |at: &Cursor<'_>| at.fields(&["name"])?.required("name", scalar::filled);
    let for_zones = fields.list("forZones", MAX_HINTS, name);
    let for_nodes = fields.list("forNodes", MAX_HINTS, name);
    Ok(EndpointHints {
        for_zones: for_zones?,
        for_nodes: for_nodes?,
    })
}

fn port(cursor: &Cursor<'_>) -> Decoded<SlicePort> {
    let fields = cursor.fields(&["name", "port", "protocol", "appProtocol"])?;
    let name = fields.optional("name", |at| match at.node.text() {
        Some("") => Ok(String::new()),
        _ => scalar::label(at),
    });
    let port = fields.optional("port", scalar::port);
    let protocol = fields.optional("protocol", protocol);
    let app_protocol = fields.optional("appProtocol", scalar::filled);
    Ok(SlicePort {
        name: name?.unwrap_or_default(),
        port: port?,
        protocol: protocol?.unwrap_or_default(),
        app_protocol: app_protocol?,
    })
}
