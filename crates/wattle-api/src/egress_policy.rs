//! Our own EgressPolicy: which hosts outside the mesh workloads may call.

use serde::Serialize;

use crate::decode::{Cursor, Decoded};
use crate::peer::{Selector, some_selector};
use crate::scalar::{self, Port};
use crate::tree::quote;

/// Most entries of `allow`, and hosts of one.
const MAX_HOSTS: usize = 256;
/// Most ports of an entry.
const MAX_PORTS: usize = 64;
/// Most alternative names of a certificate.
const MAX_NAMES: usize = 16;
/// Longest path or name in bytes.
const MAX_TEXT: usize = 1024;

/// `spec` of an EgressPolicy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EgressPolicy {
    /// The workloads it is for; none means all of the namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// What happens to calls to hosts that nobody knows; none leaves that to the mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<EgressMode>,
    /// Hosts they may call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<EgressRule>,
}

/// What happens to calls to hosts that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum EgressMode {
    /// They may leave.
    AllowAny,
    /// They are refused.
    RegistryOnly,
}

/// Hosts that may be called, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EgressRule {
    /// DNS names, with `*.` in front for any name below; 1 to 256, each once.
    pub hosts: Vec<String>,
    /// Ports of these hosts, 1 to 64, numbers unique.
    pub ports: Vec<EgressPort>,
    /// TLS that the proxy adds to what the workload sends as plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_origination: Option<TlsOrigination>,
}

/// A port of a host outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EgressPort {
    /// Number.
    pub port: Port,
    /// What the workload speaks on it.
    pub protocol: EgressProtocol,
}

/// What a workload speaks to a host outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EgressProtocol {
    /// HTTP in plain text.
    Http,
    /// HTTP inside TLS of its own; the host is told by the SNI.
    Https,
    /// TLS of its own; the host is told by the SNI.
    Tls,
    /// Any bytes; the host is told by its address.
    Tcp,
    /// gRPC in plain text.
    Grpc,
}

/// TLS that the proxy adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsOrigination {
    /// Always SIMPLE: the server shows a certificate, the proxy does not.
    pub mode: OriginationMode,
    /// The SNI; none means the host that is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// Names of which the certificate must have one; none means the SNI.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_alt_names: Vec<String>,
    /// Absolute path of a PEM file with the authorities that count; none means the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_certificates: Option<String>,
}

/// Who shows a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum OriginationMode {
    /// Only the server.
    Simple,
}

pub(crate) fn egress_policy(cursor: &Cursor<'_>) -> Decoded<EgressPolicy> {
    let fields = cursor.fields(&["selector", "mode", "allow"])?;
    let modes = [
        ("AllowAny", EgressMode::AllowAny),
        ("RegistryOnly", EgressMode::RegistryOnly),
    ];
    let selector = fields.optional("selector", some_selector);
    let mode = fields.optional("mode", |at| scalar::word(at, &modes));
    let allow = fields.list("allow", MAX_HOSTS, rule);
    let policy = EgressPolicy {
        selector: selector?,
        mode: mode?,
        allow: allow?,
    };
    if policy.mode.is_none() && policy.allow.is_empty() {
        return Err(cursor.refuse("empty", "expected mode, allow, or both"));
    }
    Ok(policy)
}

fn rule(cursor: &Cursor<'_>) -> Decoded<EgressRule> {
    let fields = cursor.fields(&["hosts", "ports", "tlsOrigination"])?;
    let hosts = fields.required("hosts", |at| {
        let hosts = at.list(MAX_HOSTS, |at| scalar::hostname(at, true))?;
        if hosts.is_empty() {
            return Err(at.refuse("empty", "found no host, expected at least one"));
        }
        scalar::distinct(at, &hosts)?;
        Ok(hosts)
    });
    let ports = fields.required("ports", ports);
    let tls_origination = fields.optional("tlsOrigination", tls_origination);
    let rule = EgressRule {
        hosts: hosts?,
        ports: ports?,
        tls_origination: tls_origination?,
    };
    let encrypted = |port: &&EgressPort| matches!(port.protocol, EgressProtocol::Https | EgressProtocol::Tls);
    match rule.ports.iter().find(encrypted) {
        Some(port) if rule.tls_origination.is_some() => {
            let reason = format!("port {} is TLS already, and cannot be originated", port.port);
            let hint = "declare what the workload sends, such as HTTP";
            Err(cursor.refuse_with("incompatible-fields", reason, hint))
        }
        _ => Ok(rule),
    }
}

fn ports(cursor: &Cursor<'_>) -> Decoded<Vec<EgressPort>> {
    let ports = cursor.list(MAX_PORTS, port)?;
    if ports.is_empty() {
        return Err(cursor.refuse("empty", "found no port, expected at least one"));
    }
    let numbers: Vec<_> = ports.iter().map(|port| port.port).collect();
    scalar::distinct(cursor, &numbers)?;
    Ok(ports)
}

fn port(cursor: &Cursor<'_>) -> Decoded<EgressPort> {
    let fields = cursor.fields(&["port", "protocol"])?;
    let protocols = [
        ("HTTP", EgressProtocol::Http),
        ("HTTPS", EgressProtocol::Https),
        ("TLS", EgressProtocol::Tls),
        ("TCP", EgressProtocol::Tcp),
        ("GRPC", EgressProtocol::Grpc),
    ];
    let port = fields.required("port", scalar::port);
    let protocol = fields.required("protocol", |at| scalar::word(at, &protocols));
    Ok(EgressPort {
        port: port?,
        protocol: protocol?,
    })
}

fn tls_origination(cursor: &Cursor<'_>) -> Decoded<TlsOrigination> {
    let fields = cursor.fields(&["mode", "sni", "subjectAltNames", "caCertificates"])?;
    let mode = fields.required("mode", |at| {
        scalar::word(at, &[("SIMPLE", OriginationMode::Simple)])
    });
    let sni = fields.optional("sni", |at| scalar::hostname(at, false));
    let subject_alt_names = fields.list("subjectAltNames", MAX_NAMES, |at| {
        crate::matching::bounded(at, MAX_TEXT)
    });
    let ca_certificates = fields.optional("caCertificates", absolute_path);
    Ok(TlsOrigination {
        mode: mode?,
        sni: sni?,
        subject_alt_names: subject_alt_names?,
        ca_certificates: ca_certificates?,
    })
}

fn absolute_path(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::text(cursor)?;
    if !text.starts_with('/') || text.len() > MAX_TEXT || text.contains('\0') {
        let reason = format!("found {}, expected an absolute path of a file", quote(&text));
        return Err(cursor.refuse("invalid-path", reason));
    }
    Ok(text)
}
