//! Istio WorkloadEntry: one running workload with its address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded};
use crate::meta::Labels;
use crate::scalar::{self, Port};
use crate::tree::quote;

/// Most named ports of an entry.
const MAX_PORTS: usize = 256;

/// `spec` of a WorkloadEntry, and the one condition of its status that matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadEntry {
    /// Where it is reached.
    #[serde(skip_serializing_if = "Address::is_unknown")]
    pub address: Address,
    /// Port numbers by Service port name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, Port>,
    /// The workload's labels.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// The network it is in; none means the mesh's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// `region/zone/subzone`, the later parts optional.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    /// Share of the requests relative to the Service's other workloads; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// The service account of its identity; a workload's is `default` unless it says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// `status.conditions` of type Healthy; none means that nobody has said.
    #[serde(skip)]
    pub healthy: Option<bool>,
}

/// Where a workload is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An address.
    Ip(IpAddr),
    /// A DNS name.
    Host(String),
    /// A Unix socket, by absolute path.
    Unix(String),
    /// Through the gateway of its network.
    Unknown,
}

impl Address {
    fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ip(address) => serializer.collect_str(address),
            Self::Host(name) => serializer.serialize_str(name),
            Self::Unix(path) => serializer.collect_str(&format_args!("unix://{path}")),
            Self::Unknown => serializer.serialize_str(""),
        }
    }
}

pub(crate) fn workload_entry(cursor: &Cursor<'_>) -> Decoded<WorkloadEntry> {
    let entry = template(cursor)?;
    if entry.address == Address::Unknown && entry.network.is_none() {
        return Err(cursor.refuse("missing-field", "an entry needs an address or a network"));
    }
    Ok(entry)
}

/// An entry that may yet lack its address.
pub(crate) fn template(cursor: &Cursor<'_>) -> Decoded<WorkloadEntry> {
    let fields = cursor.fields(&[
        "address",
        "ports",
        "labels",
        "network",
        "locality",
        "weight",
        "serviceAccount",
    ])?;
    let address = fields.optional("address", address);
    let ports = fields.optional("ports", ports);
    let labels = fields.optional("labels", scalar::labels);
    let network = fields.optional("network", scalar::text);
    let locality = fields.optional("locality", locality);
    let weight = fields.optional("weight", |at| scalar::count(at, 0, u32::MAX));
    let service_account = fields.optional("serviceAccount", scalar::subdomain);
    let entry = WorkloadEntry {
        address: address?.unwrap_or(Address::Unknown),
        ports: ports?.unwrap_or_default(),
        labels: labels?.unwrap_or_default(),
        network: network?.filter(|network| !network.is_empty()),
        locality: locality?.filter(|locality| !locality.is_empty()),
        weight: weight?,
        service_account: service_account?,
        healthy: None,
    };
    if matches!(entry.address, Address::Unix(_)) && !entry.ports.is_empty() {
        return Err(cursor.refuse("incompatible-fields", "a Unix socket has no ports"));
    }
    Ok(entry)
}

fn address(cursor: &Cursor<'_>) -> Decoded<Address> {
    let text = scalar::text(cursor)?;
    if text.is_empty() {
        return Ok(Address::Unknown);
    }
    if let Ok(address) = text.parse() {
        return Ok(Address::Ip(address));
    }
    if let Some(path) = text.strip_prefix("unix://") {
        let whole = path.starts_with('/') && path.len() < 108 && !path.contains('\0');
        return if whole {
            Ok(Address::Unix(path.to_owned()))
        } else {
            let reason = format!(
                "found {}, expected unix:// and an absolute path below 108 bytes",
                quote(&text)
            );
            Err(cursor.refuse("invalid-address", reason))
        };
    }
    // What looks like a bad IPv4 address is not a host name that anyone means.
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if numeric || !scalar::is_subdomain(&text) {
        let reason = format!(
            "found {}, expected an address, a host name or unix://PATH",
            quote(&text)
        );
        return Err(cursor.refuse("invalid-address", reason));
    }
    Ok(Address::Host(text))
}

fn ports(cursor: &Cursor<'_>) -> Decoded<BTreeMap<String, Port>> {
    let entries = cursor.entries()?;
    if entries.len() > MAX_PORTS {
        return Err(cursor.refuse(
            "too-many",
            format!("found {} ports, expected at most {MAX_PORTS}", entries.len()),
        ));
    }
    let decoded: Vec<_> = entries
        .iter()
        .map(|entry| scalar::port(&cursor.entry(entry)).map(|port| (entry.key.clone(), port)))
        .collect();
    decoded.into_iter().collect()
}

fn locality(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::text(cursor)?;
    let parts = text.split('/').count();
    if text.len() > 253 || parts > 3 || (!text.is_empty() && text.split('/').any(str::is_empty)) {
        let reason = format!("found {}, expected region/zone/subzone", quote(&text));
        return Err(cursor.refuse("invalid-locality", reason));
    }
    Ok(text)
}

/// Reads `status` as far as it says whether the workload is healthy; other parts are somebody else's.
pub(crate) fn healthy(cursor: &Cursor<'_>) -> Option<bool> {
    let conditions = cursor.node.child("conditions")?;
    let crate::tree::Value::List(conditions) = &conditions.value else {
        return None;
    };
    let healthy = conditions
        .iter()
        .rev()
        .find(|node| node.child("type").and_then(|at| at.text()) == Some("Healthy"))?;
    // "Unknown" and anything else is not an assurance of health.
    Some(healthy.child("status").and_then(|at| at.text()) == Some("True"))
}
