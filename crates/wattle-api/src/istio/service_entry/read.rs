//! Decoding of a ServiceEntry.

use std::collections::BTreeSet;

use super::{AppProtocol, EntryPort, Location, Resolution, ServiceEntry};
use crate::decode::{Cursor, Decoded, Fields, one_of};
use crate::istio::export_to::export_to_nowhere_too;
use crate::istio::host::{self, Host};
use crate::istio::value::{at_most_one, workload_selector};
use crate::scalar;
use crate::workload::{Address, WorkloadEntry, workload_entry};

/// Most hosts, addresses or ports (Istio).
const MAX_ITEMS: usize = 256;
/// Most endpoints (Istio).
const MAX_ENDPOINTS: usize = 4096;

const FIELDS: &[&str] = &[
    "hosts",
    "addresses",
    "ports",
    "location",
    "resolution",
    "endpoints",
    "workloadSelector",
    "exportTo",
    "subjectAltNames",
];

pub(crate) fn service_entry(cursor: &Cursor<'_>) -> Decoded<ServiceEntry> {
    let fields = cursor.fields(FIELDS)?;
    at_most_one(&fields, &["endpoints", "workloadSelector"])?;
    let hosts = fields.required("hosts", hosts);
    let addresses = fields.list("addresses", MAX_ITEMS, scalar::ip_block);
    let ports = fields.list("ports", MAX_ITEMS, port);
    let location = fields.optional("location", location);
    let resolution = fields.optional("resolution", resolution);
    let endpoints = fields.list("endpoints", MAX_ENDPOINTS, endpoint);
    let workload_selector = fields.optional("workloadSelector", workload_selector);
    let export_to = fields.optional("exportTo", export_to_nowhere_too);
    let subject_alt_names = fields.list("subjectAltNames", MAX_ENDPOINTS, scalar::filled);
    let entry = ServiceEntry {
        hosts: hosts?,
        addresses: addresses?,
        ports: ports?,
        location: location?.unwrap_or_default(),
        resolution: resolution?.unwrap_or_default(),
        endpoints: endpoints?,
        workload_selector: workload_selector?,
        export_to: export_to?.unwrap_or_default(),
        subject_alt_names: subject_alt_names?,
    };
    check_ports(&entry, &fields)?;
    check_addresses(&entry, &fields)?;
    check_resolution(&entry, &fields)?;
    Ok(entry)
}

fn hosts(cursor: &Cursor<'_>) -> Decoded<Vec<Host>> {
    let hosts = cursor.list(MAX_ITEMS, |at| match host::name(at)? {
        Host::Any => Err(at.refuse("invalid-hostname", "found *, expected a host name or *.host name")),
        other => Ok(other),
    })?;
    if hosts.is_empty() {
        return Err(cursor.refuse("empty", "found no host, expected at least one"));
    }
    Ok(hosts)
}

fn port(cursor: &Cursor<'_>) -> Decoded<EntryPort> {
    let fields = cursor.fields(&["number", "protocol", "name", "targetPort"])?;
    let number = fields.required("number", scalar::port);
    let protocol = fields.optional("protocol", app_protocol);
    let name = fields.required("name", scalar::label);
    let target_port = fields.optional("targetPort", scalar::port);
    Ok(EntryPort {
        number: number?,
        protocol: protocol?.flatten(),
        name: name?,
        target_port: target_port?,
    })
}

const PROTOCOLS: [(&str, AppProtocol); 11] = [
    ("HTTP", AppProtocol::Http),
    ("HTTP2", AppProtocol::Http2),
    ("HTTPS", AppProtocol::Https),
    ("GRPC", AppProtocol::Grpc),
    ("GRPC-WEB", AppProtocol::GrpcWeb),
    ("TLS", AppProtocol::Tls),
    ("TCP", AppProtocol::Tcp),
    ("MONGO", AppProtocol::Mongo),
    ("REDIS", AppProtocol::Redis),
    ("MYSQL", AppProtocol::Mysql),
    ("UDP", AppProtocol::Udp),
];

/// A protocol in any case; empty text is none.
pub(crate) fn app_protocol(cursor: &Cursor<'_>) -> Decoded<Option<AppProtocol>> {
    let text = scalar::text(cursor)?;
    if text.is_empty() {
        return Ok(None);
    }
    let known = PROTOCOLS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(&text));
    match known {
        Some((_, protocol)) => Ok(Some(*protocol)),
        None => Err(one_of(cursor, &text, &PROTOCOLS.map(|(name, _)| name))),
    }
}

fn location(cursor: &Cursor<'_>) -> Decoded<Location> {
    let words = [
        ("MESH_EXTERNAL", Location::MeshExternal),
        ("MESH_INTERNAL", Location::MeshInternal),
    ];
    scalar::word(cursor, &words)
}

fn resolution(cursor: &Cursor<'_>) -> Decoded<Resolution> {
    let words = [
        ("NONE", Resolution::None),
        ("STATIC", Resolution::Static),
        ("DNS", Resolution::Dns),
        ("DNS_ROUND_ROBIN", Resolution::DnsRoundRobin),
        ("DYNAMIC_DNS", Resolution::DynamicDns),
    ];
    scalar::word(cursor, &words)
}

fn endpoint(cursor: &Cursor<'_>) -> Decoded<WorkloadEntry> {
    let endpoint = workload_entry(cursor)?;
    if let Address::Unix(path) = &endpoint.address {
        let reason = format!("the Unix socket {path} as an endpoint is not supported yet");
        return Err(cursor.refuse("address-not-supported", reason));
    }
    Ok(endpoint)
}

fn check_ports(entry: &ServiceEntry, fields: &Fields<'_>) -> Decoded<()> {
    let (mut numbers, mut names) = (BTreeSet::new(), BTreeSet::new());
    for port in &entry.ports {
        if !numbers.insert(port.number) {
            return Err(fields.refuse("duplicate-item", format!("two ports have number {}", port.number)));
        }
        if !names.insert(port.name.as_str()) {
            return Err(fields.refuse("duplicate-item", format!("two ports are named {}", port.name)));
        }
    }
    let mut named = entry.endpoints.iter().flat_map(|endpoint| endpoint.ports.keys());
    if let Some(name) = named.find(|name| !names.contains(name.as_str())) {
        let reason = format!("an endpoint has the port {name}, and the entry has none of that name");
        return Err(fields.refuse("unknown-port", reason));
    }
    let elsewhere = |port: &EntryPort| port.target_port.is_some_and(|target| target != port.number);
    if entry.resolution == Resolution::None && entry.ports.iter().any(elsewhere) {
        let reason = "targetPort has no effect with resolution NONE";
        fields.warn("no-effect", reason, "remove it or choose another resolution");
    }
    Ok(())
}

fn check_addresses(entry: &ServiceEntry, fields: &Fields<'_>) -> Decoded<()> {
    let blocks = entry
        .addresses
        .iter()
        .any(|block| block.prefix_len() < block.max_prefix_len());
    if blocks && entry.resolution.is_dns() {
        let reason = "blocks of addresses need resolution NONE or STATIC";
        return Err(fields.refuse("incompatible-fields", reason));
    }
    Ok(())
}

fn check_resolution(entry: &ServiceEntry, fields: &Fields<'_>) -> Decoded<()> {
    let reason = match entry.resolution {
        Resolution::None if !entry.endpoints.is_empty() => {
            "resolution NONE sends to the address that was dialled, and there are endpoints"
        }
        Resolution::Static if static_needs_addresses(entry) => {
            "resolution STATIC needs endpoints that are IP addresses"
        }
        Resolution::Static if entry.endpoints.is_empty() && entry.workload_selector.is_none() => {
            "resolution STATIC needs endpoints or a workloadSelector"
        }
        Resolution::DnsRoundRobin if entry.endpoints.len() > 1 => {
            "resolution DNS_ROUND_ROBIN takes one endpoint at most"
        }
        Resolution::Dns | Resolution::DnsRoundRobin if unresolvable(entry) => {
            "a host with a wildcard cannot be resolved by DNS without endpoints"
        }
        Resolution::DynamicDns if !entry.hosts.iter().all(Host::is_pattern) => {
            "resolution DYNAMIC_DNS is for hosts with a wildcard only"
        }
        Resolution::DynamicDns if !entry.endpoints.is_empty() || entry.workload_selector.is_some() => {
            "resolution DYNAMIC_DNS resolves the requested name, and there are endpoints"
        }
        _ => return Ok(()),
    };
    Err(fields.refuse("incompatible-fields", reason))
}

/// An endpoint without an address is reached through the gateway of its network.
fn static_needs_addresses(entry: &ServiceEntry) -> bool {
    let named = |endpoint: &WorkloadEntry| matches!(endpoint.address, Address::Host(_));
    entry.endpoints.iter().any(named)
}

fn unresolvable(entry: &ServiceEntry) -> bool {
    let found = !entry.endpoints.is_empty() || entry.workload_selector.is_some();
    !found && entry.hosts.iter().any(Host::is_pattern)
}
