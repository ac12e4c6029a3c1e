//! Traffic redirection of one workload as data, and its rendering to nftables.
//!
//! What leaves the workload goes to the outbound listener, what reaches it to the inbound one. Exempt is the
//! proxy itself, by user id or by mark, with one exception that Istio makes too: when the outbound proxy picks
//! its own workload as the endpoint, that connection must pass the inbound proxy like any other.
//!
//! DNS is redirected if asked for: what goes to port 53, over UDP and TCP, whichever resolver it is meant for. That
//! includes resolvers on loopback, such as a machine's own stub, which the proxy then asks itself.
//!
//! Datagrams are not carried by the mesh. They pass by it, or are refused if asked for: whatever is neither TCP nor ICMP.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ipnet::IpNet;

use crate::netns::{Netns, NetnsError};
use crate::privileges::{PROXY_MARK, PROXY_UID};
use crate::tool::{self, ToolError};

/// Where the proxy hears what leaves the workload, by default (Istio's port).
pub const OUTBOUND_PORT: u16 = 15001;
/// Where the proxy hears what reaches the workload, by default (Istio's port).
pub const INBOUND_PORT: u16 = 15006;
/// Where the proxy hears DNS queries of the workload when names are captured (Istio's port).
pub const DNS_PORT: u16 = 15053;
/// Where resolvers are asked.
const RESOLVER_PORT: u16 = 53;
/// Ports of the proxy's own, never redirected: HBONE, status, health, Istio's metrics.
const PROXY_PORTS: [u16; 4] = [15008, 15020, 15021, 15090];

/// Source address of the inbound proxy's connections to its application (Istio's value), never redirected.
pub const PASSTHROUGH_IPV4: &str = "127.0.0.6";

/// The same for IPv6.
pub const PASSTHROUGH_IPV6: &str = "::6";

/// The table all rules live in.
const TABLE: &str = "inet wattle";

/// What a namespace needs of a network besides: who is there, what does not fit, what is unreachable.
const ICMP: &str = "icmp, ipv6-icmp";

/// Why rules were not changed; the old ones stay in force.
#[derive(Debug, thiserror::Error)]
pub enum RedirectError {
    /// The rules were refused.
    #[error("cannot change traffic redirection")]
    Rules(#[from] ToolError),
    /// The workload's namespace could not be entered.
    #[error("cannot change traffic redirection")]
    Netns(#[from] NetnsError),
}

/// What is redirected where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// Listener for connections the workload opens; default 15001.
    pub outbound_port: u16,
    /// Listener for connections to the workload; default 15006.
    pub inbound_port: u16,
    /// Listener for DNS queries of the workload, over UDP and TCP on both loopbacks; default none: names are left
    /// alone. Excluding port 53 on the way out leaves them alone as well, and excluded destinations are asked directly;
    /// the included ones are about connections, not about queries.
    pub dns_port: Option<u16>,
    /// User id whose connections are exempt; default 1337.
    pub proxy_uid: u32,
    /// Socket mark whose connections are exempt; default 0x539.
    pub mark: u32,
    /// Ports of the proxy that are reached directly; default 15008, 15020, 15021 and 15090.
    pub proxy_ports: BTreeSet<u16>,
    /// Destination ports never redirected on the way out; default none.
    pub exclude_outbound_ports: BTreeSet<u16>,
    /// Destinations never redirected on the way out; default none.
    pub exclude_outbound_cidrs: BTreeSet<IpNet>,
    /// The only destinations redirected on the way out; default empty, which means all.
    pub include_outbound_cidrs: BTreeSet<IpNet>,
    /// Ports of the workload never redirected on the way in; default none.
    pub exclude_inbound_ports: BTreeSet<u16>,
    /// The only ports of the workload redirected on the way in; default empty, which means all.
    pub include_inbound_ports: BTreeSet<u16>,
    /// Whether datagrams are rejected on both ways, but for loopback, the proxy's own and queries that it takes; default no.
    pub refuse_datagrams: bool,
}

impl Default for Redirect {
    fn default() -> Self {
        Self {
            outbound_port: OUTBOUND_PORT,
            inbound_port: INBOUND_PORT,
            dns_port: None,
            proxy_uid: PROXY_UID,
            mark: PROXY_MARK,
            proxy_ports: PROXY_PORTS.into(),
            exclude_outbound_ports: BTreeSet::new(),
            exclude_outbound_cidrs: BTreeSet::new(),
            include_outbound_cidrs: BTreeSet::new(),
            exclude_inbound_ports: BTreeSet::new(),
            include_inbound_ports: BTreeSet::new(),
            refuse_datagrams: false,
        }
    }
}

impl Redirect {
    /// Puts these rules in force in a workload's namespace, replacing earlier ones in one transaction.
    pub fn apply(&self, workload: &Netns) -> Result<(), RedirectError> {
        Ok(workload.enter(|| tool::nft(&self.render()))??)
    }

    /// Takes the rules away; no error if there are none.
    pub fn remove(workload: &Netns) -> Result<(), RedirectError> {
        Ok(workload.enter(|| tool::nft(&removal()))??)
    }

    /// The whole ruleset as `nft -f` reads it; loading it twice is the same as once.
    pub fn render(&self) -> String {
        let mut out = removal();
        let _ = writeln!(out, "table {TABLE} {{");
        self.render_dns(&mut out);
        self.render_output(&mut out);
        self.render_prerouting(&mut out);
        self.render_input(&mut out);
        if self.refuse_datagrams {
            self.render_refusal(&mut out);
        }
        out.push_str("}\n");
        out
    }

    /// The listener that takes queries; none if they are left alone.
    fn captures_dns(&self) -> Option<u16> {
        self.dns_port
            .filter(|_| !self.exclude_outbound_ports.contains(&RESOLVER_PORT))
    }

    /// A query that leaves the workload; what returns from here goes on like any other connection.
    fn render_dns(&self, out: &mut String) {
        let Some(port) = self.captures_dns() else { return };
        out.push_str("\tchain dns {\n");
        rule(out, &format!("meta skuid {} return", self.proxy_uid));
        rule(out, &format!("meta mark {:#x} return", self.mark));
        cidr_rules(out, &self.exclude_outbound_cidrs, "return");
        rule(out, &format!("meta l4proto {{ tcp, udp }} redirect to :{port}"));
        out.push_str("\t}\n");
    }

    /// What leaves the workload.
    fn render_output(&self, out: &mut String) {
        let outbound = format!("meta l4proto tcp redirect to :{}", self.outbound_port);
        out.push_str("\tchain output {\n\t\ttype nat hook output priority -100; policy accept;\n");
        if self.captures_dns().is_some() {
            rule(
                out,
                &format!("meta l4proto {{ tcp, udp }} th dport {RESOLVER_PORT} jump dns"),
            );
        }
        rule(out, "meta l4proto != tcp return");
        rule(out, &format!("oifname \"lo\" ip saddr {PASSTHROUGH_IPV4} return"));
        rule(
            out,
            &format!("oifname \"lo\" ip6 saddr {PASSTHROUGH_IPV6} return"),
        );
        self.render_hairpin(out);
        rule(out, &format!("meta skuid {} return", self.proxy_uid));
        rule(out, &format!("meta mark {:#x} return", self.mark));
        // To itself by loopback or own address. Service addresses are routed to eth0, so they go on.
        rule(out, "oifname \"lo\" return");
        if !self.exclude_outbound_ports.is_empty() {
            rule(
                out,
                &format!("tcp dport {{ {} }} return", list(&self.exclude_outbound_ports)),
            );
        }
        cidr_rules(out, &self.exclude_outbound_cidrs, "return");
        if self.include_outbound_cidrs.is_empty() {
            rule(out, &outbound);
        } else {
            cidr_rules(out, &self.include_outbound_cidrs, &outbound);
        }
        out.push_str("\t}\n");
    }

    /// The outbound proxy's connections to its own workload, which the inbound proxy must see.
    fn render_hairpin(&self, out: &mut String) {
        let inbound = format!("redirect to :{}", self.inbound_port);
        let exempt = [
            format!("meta skuid {}", self.proxy_uid),
            format!("meta mark {:#x}", self.mark),
        ];
        for own in [
            "oifname \"lo\" ip daddr != 127.0.0.0/8",
            "oifname \"lo\" ip6 daddr != ::1",
        ] {
            for proxy in &exempt {
                rule(out, &format!("{own} {proxy} {} {inbound}", self.inbound_ports()));
            }
        }
    }

    /// What reaches the workload.
    fn render_prerouting(&self, out: &mut String) {
        out.push_str("\tchain prerouting {\n\t\ttype nat hook prerouting priority -100; policy accept;\n");
        rule(out, "iifname \"lo\" return");
        rule(
            out,
            &format!("{} redirect to :{}", self.inbound_ports(), self.inbound_port),
        );
        out.push_str("\t}\n");
    }

    /// The listeners take redirected connections only: one that was not has them as its own destination,
    /// and the proxy would forward it to itself for ever.
    fn render_input(&self, out: &mut String) {
        let Self {
            outbound_port,
            inbound_port,
            ..
        } = self;
        out.push_str("\tchain input {\n\t\ttype filter hook input priority 0; policy accept;\n");
        rule(
            out,
            &format!(
                "tcp dport {{ {outbound_port}, {inbound_port} }} ct state new ct status & dnat == 0 reject with tcp reset"
            ),
        );
        out.push_str("\t}\n");
    }

    /// Rejected with a message of ICMP, so that a program notices at once. After redirection: a query that the proxy takes
    /// is for loopback by then.
    fn render_refusal(&self, out: &mut String) {
        let reject = format!("meta l4proto != {{ tcp, {ICMP} }} reject");
        out.push_str("\tchain datagrams_out {\n\t\ttype filter hook output priority 0; policy accept;\n");
        for own in [
            "oifname \"lo\" accept".to_owned(),
            "ip daddr 127.0.0.0/8 accept".to_owned(),
            "ip6 daddr ::1 accept".to_owned(),
            format!("meta skuid {} accept", self.proxy_uid),
            format!("meta mark {:#x} accept", self.mark),
            reject.clone(),
        ] {
            rule(out, &own);
        }
        out.push_str("\t}\n\tchain datagrams_in {\n\t\ttype filter hook input priority 0; policy accept;\n");
        for own in ["iifname \"lo\" accept", "ct state established accept", &reject] {
            rule(out, own);
        }
        out.push_str("\t}\n");
    }

    /// The match for destination ports that the inbound listener takes.
    fn inbound_ports(&self) -> String {
        let direct: BTreeSet<u16> = self
            .proxy_ports
            .union(&self.exclude_inbound_ports)
            .copied()
            .collect();
        if self.include_inbound_ports.is_empty() && direct.is_empty() {
            return "meta l4proto tcp".to_owned();
        }
        if self.include_inbound_ports.is_empty() {
            return format!("tcp dport != {{ {} }}", list(&direct));
        }
        let taken: BTreeSet<u16> = self.include_inbound_ports.difference(&direct).copied().collect();
        // An empty set is no valid nftables; port 0 is one nobody can connect to.
        let taken = if taken.is_empty() {
            BTreeSet::from([0])
        } else {
            taken
        };
        format!("tcp dport {{ {} }}", list(&taken))
    }
}

/// Deletes the table; the first line makes sure that there is one to delete.
fn removal() -> String {
    format!("table {TABLE}\ndelete table {TABLE}\n")
}

fn rule(out: &mut String, text: &str) {
    let _ = writeln!(out, "\t\t{text}");
}

fn cidr_rules(out: &mut String, cidrs: &BTreeSet<IpNet>, verdict: &str) {
    let merged = IpNet::aggregate(&cidrs.iter().map(IpNet::trunc).collect());
    let (v4, v6): (BTreeSet<IpNet>, BTreeSet<IpNet>) =
        merged.into_iter().partition(|cidr| matches!(cidr, IpNet::V4(_)));
    for (family, cidrs) in [("ip", v4), ("ip6", v6)] {
        if !cidrs.is_empty() {
            rule(out, &format!("{family} daddr {{ {} }} {verdict}", list(&cidrs)));
        }
    }
}

fn list<T: ToString>(items: &BTreeSet<T>) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests;
