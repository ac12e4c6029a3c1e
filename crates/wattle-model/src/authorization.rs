//! Who may do what: Istio's `AuthorizationPolicy`, compiled.

use std::fmt;
use std::net::IpAddr;

use crate::{ObjectRef, TextMatch};

/// The policies that select one workload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Authorization {
    /// A request that one of these matches is refused.
    pub deny: Vec<Policy>,
    /// When there is any, a request that none of them matches is refused.
    pub allow: Vec<Policy>,
}

/// One policy object.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Where it was written.
    pub origin: ObjectRef,
    /// Matches when any rule does; without rules it matches nothing.
    pub rules: Vec<PolicyRule>,
}

/// One rule: some `from` and some `to` and every `when`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyRule {
    /// Any of these sources; empty is any source.
    pub from: Vec<Source>,
    /// Any of these operations; empty is any operation.
    pub to: Vec<Operation>,
    /// All of these conditions.
    pub when: Vec<Condition>,
    /// Names a field that this version cannot evaluate. It fails closed: an ALLOW rule with one matches nothing; in a DENY
    /// rule it counts as satisfied, and the rest of the rule still has to hold.
    pub unsupported: Option<Box<str>>,
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpBlock {
    /// First address of the range.
    pub address: IpAddr,
    /// Length of the prefix in bits.
    pub prefix_len: u8,
}

/// All that is present must hold; within a list any entry suffices; `not_` lists must have no match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// `TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`.
    pub principals: Vec<TextMatch>,
    /// None of these principals.
    pub not_principals: Vec<TextMatch>,
    /// Namespace of the peer's identity.
    pub namespaces: Vec<TextMatch>,
    /// None of these namespaces.
    pub not_namespaces: Vec<TextMatch>,
    /// `NAMESPACE/ACCOUNT` of the peer's identity.
    pub service_accounts: Vec<TextMatch>,
    /// None of these accounts.
    pub not_service_accounts: Vec<TextMatch>,
    /// Address of the peer.
    pub ip_blocks: Vec<IpBlock>,
    /// None of these address ranges.
    pub not_ip_blocks: Vec<IpBlock>,
}

/// All that is present must hold; within a list any entry suffices; `not_` lists must have no match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operation {
    /// Host of the request (HTTP only; compared without case and port).
    pub hosts: Vec<TextMatch>,
    /// None of these hosts.
    pub not_hosts: Vec<TextMatch>,
    /// Port of the workload.
    pub ports: Vec<u16>,
    /// None of these ports.
    pub not_ports: Vec<u16>,
    /// Method (HTTP only).
    pub methods: Vec<TextMatch>,
    /// None of these methods.
    pub not_methods: Vec<TextMatch>,
    /// Normalised path without query (HTTP only).
    pub paths: Vec<TextMatch>,
    /// None of these paths.
    pub not_paths: Vec<TextMatch>,
}

/// An attribute that must have one of some values.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Istio's attribute key, e.g. `source.namespace`, `request.headers[x-a]`.
    pub key: Box<str>,
    /// Any of these.
    pub values: Vec<TextMatch>,
    /// None of these.
    pub not_values: Vec<TextMatch>,
}

impl IpBlock {
    /// Reads `address` or `address/length`; `None` when it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = text
            .split_once('/')
            .map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().ok()?;
        let prefix_len = length.map_or(Some(width(address)), |length| length.parse().ok())?;
        (prefix_len <= width(address)).then_some(Self { address, prefix_len })
    }

    /// Does `address` lie in the range? An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (block, address) = (self.address, address.to_canonical());
        let shift = u32::from(width(block).saturating_sub(self.prefix_len));
        match (block, address) {
            (IpAddr::V4(block), IpAddr::V4(address)) => {
                let differing = block.to_bits() ^ address.to_bits();
                differing.checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(block), IpAddr::V6(address)) => {
                let differing = block.to_bits() ^ address.to_bits();
                differing.checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl fmt::Display for IpBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}
