//! Rules for connections that are not read as HTTP.

use ipnet::IpNet;
use serde::Serialize;

use crate::decode::{Cursor, Decoded};
use crate::istio::destination::{WeightedDestination, weighted_destinations};
use crate::istio::gateway_ref::{GatewayRef, gateway_ref};
use crate::istio::host::{self, Host};
use crate::istio::value::{MAX_ITEMS, unsupported, write_blocks};
use crate::meta::Labels;
use crate::scalar::{self, Port};

/// One rule for TLS that is not terminated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsRule {
    /// The rule applies when any of them matches; never empty.
    #[serde(rename = "match")]
    pub matches: Vec<TlsMatch>,
    /// Where connections go, by weight; never empty.
    pub route: Vec<WeightedDestination>,
}

/// One rule for other connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TcpRule {
    /// The rule applies when any of them matches; empty matches everything.
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<L4Match>,
    /// Where connections go, by weight; never empty.
    pub route: Vec<WeightedDestination>,
}

/// Conditions on a TLS connection, which must all hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsMatch {
    /// Server names as the client sends them, each within the VirtualService's hosts; never empty.
    pub sni_hosts: Vec<Host>,
    /// The other conditions.
    #[serde(flatten)]
    pub connection: L4Match,
}

/// Conditions on a connection, which must all hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct L4Match {
    /// Where the connection was sent to; empty means anywhere.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "write_blocks")]
    pub destination_subnets: Vec<IpNet>,
    /// The port it was sent to; none means any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// Labels of the client's workload; they choose the proxies that get the rule.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub source_labels: Labels,
    /// Namespace of the client's workload; it chooses the proxies that get the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_namespace: Option<String>,
    /// Where it applies; empty means where the VirtualService does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<GatewayRef>,
}

pub(super) fn tls_rule(cursor: &Cursor<'_>) -> Decoded<TlsRule> {
    let fields = cursor.fields(&["match", "route"])?;
    let matches = fields.required("match", |at| some(at, tls_match));
    let route = fields.required("route", weighted_destinations);
    Ok(TlsRule {
        matches: matches?,
        route: route?,
    })
}

pub(super) fn tcp_rule(cursor: &Cursor<'_>) -> Decoded<TcpRule> {
    let fields = cursor.fields(&["match", "route"])?;
    let matches = fields.list("match", MAX_ITEMS, l4_match);
    let route = fields.required("route", weighted_destinations);
    Ok(TcpRule {
        matches: matches?,
        route: route?,
    })
}

fn some<T>(cursor: &Cursor<'_>, decode: impl Fn(&Cursor<'_>) -> Decoded<T>) -> Decoded<Vec<T>> {
    let items = cursor.list(MAX_ITEMS, decode)?;
    if items.is_empty() {
        return Err(cursor.refuse("empty", "found no item, expected at least one"));
    }
    Ok(items)
}

const FIELDS: [&str; 7] = [
    "destinationSubnets",
    "port",
    "sourceLabels",
    "sourceNamespace",
    "gateways",
    "sourceSubnet",
    "sniHosts",
];

fn tls_match(cursor: &Cursor<'_>) -> Decoded<TlsMatch> {
    let fields = cursor.fields(&FIELDS)?;
    let sni_hosts = fields.required("sniHosts", |at| some(at, host::name));
    let connection = connection(cursor, &FIELDS);
    Ok(TlsMatch {
        sni_hosts: sni_hosts?,
        connection: connection?,
    })
}

fn l4_match(cursor: &Cursor<'_>) -> Decoded<L4Match> {
    connection(cursor, &FIELDS[..6])
}

fn connection(cursor: &Cursor<'_>, known: &[&str]) -> Decoded<L4Match> {
    let fields = cursor.fields(known)?;
    let source_subnet = unsupported(&fields, &["sourceSubnet"]);
    let destination_subnets = fields.list("destinationSubnets", MAX_ITEMS, scalar::ip_block);
    let port = fields.optional("port", scalar::port);
    let source_labels = fields.optional("sourceLabels", scalar::labels);
    let source_namespace = fields.optional("sourceNamespace", scalar::label);
    let gateways = fields.list("gateways", MAX_ITEMS, gateway_ref);
    source_subnet?;
    Ok(L4Match {
        destination_subnets: destination_subnets?,
        port: port?,
        source_labels: source_labels?.unwrap_or_default(),
        source_namespace: source_namespace?,
        gateways: gateways?,
    })
}
