//! The mesh's own subnet: a bridge in the supervisor's namespace and a cable to each workload.
//!
//! There is no uplink. What is not on the bridge is refused at once instead of timing out.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::netns::{Netns, NetnsError};
use crate::tool::{self, ToolError};

/// Name of a workload's only interface besides loopback.
pub const WORKLOAD_INTERFACE: &str = "eth0";

/// Why a link could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The bridge itself.
    #[error("cannot make the bridge {name} for {subnet}")]
    Create {
        /// The bridge's interface name.
        name: String,
        /// The subnet it was to carry.
        subnet: IpNet,
        /// What `ip` said.
        source: ToolError,
    },
    /// The address is not one of the subnet's.
    #[error("cannot connect a workload as {address}: expected an address in {subnet} besides the bridge's")]
    Foreign {
        /// The address asked for.
        address: IpAddr,
        /// The bridge's subnet.
        subnet: IpNet,
    },
    /// The cable to a workload.
    #[error("cannot connect the workload at {address} to the bridge")]
    Connect {
        /// The workload's address.
        address: IpAddr,
        /// What `ip` said.
        source: ToolError,
    },
    /// The workload's namespace.
    #[error("cannot set up the workload's side of a link")]
    Netns(#[from] NetnsError),
}

/// What a bridge is called and carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Interface name, at most 15 bytes; default `wattle0`.
    pub name: String,
    /// Addresses of workloads; default 10.244.0.0/16. Its first host address is the bridge's own.
    pub subnet: IpNet,
}

impl Default for Plan {
    fn default() -> Self {
        let subnet = Ipv4Net::new_assert(Ipv4Addr::new(10, 244, 0, 0), 16);
        Self {
            name: "wattle0".to_owned(),
            subnet: subnet.into(),
        }
    }
}

impl Plan {
    /// The bridge's own address: the subnet's first host.
    pub fn address(&self) -> IpAddr {
        self.subnet.hosts().next().unwrap_or_else(|| self.subnet.addr())
    }
}

/// The bridge, in the namespace that made it; it vanishes with that namespace.
#[derive(Debug)]
pub struct Bridge {
    plan: Plan,
    home: Netns,
}

impl Bridge {
    /// Makes the bridge in the calling thread's network namespace, with loopback up.
    ///
    /// Meant for the supervisor of an isolated mesh: it becomes the workloads' default gateway and
    /// refuses whatever is not on the bridge.
    pub fn create(plan: Plan) -> Result<Self, BridgeError> {
        tool::ip_batch(&creation(&plan))
            .and_then(|()| tool::nft(&edge(&plan)))
            .map_err(|source| BridgeError::Create {
                name: plan.name.clone(),
                subnet: plan.subnet,
                source,
            })?;
        Ok(Self {
            plan,
            home: Netns::current()?,
        })
    }

    /// The bridge's own address, where workloads reach the supervisor.
    pub fn address(&self) -> IpAddr {
        self.plan.address()
    }

    /// Gives the namespace the interface `eth0` with `address` and a default route over the bridge.
    pub fn connect(&self, workload: &Netns, address: IpAddr) -> Result<(), BridgeError> {
        let subnet = self.plan.subnet;
        if !subnet.contains(&address) || address == self.address() {
            return Err(BridgeError::Foreign { address, subnet });
        }
        let failed = |source| BridgeError::Connect { address, source };
        let cable = cable_name(address);
        let netns = workload.as_stdin()?;
        let add = format!("link add {cable} type veth peer name {WORKLOAD_INTERFACE} netns /proc/self/fd/0");
        let plug = format!("link set {cable} addrgenmode none master {} up", self.plan.name);
        self.home
            .enter(|| tool::ip_with_stdin(&add, netns).and_then(|()| tool::ip(&plug)))?
            .map_err(failed)?;
        workload
            .enter(|| tool::ip_batch(&self.workload_side(address)))?
            .map_err(failed)
    }

    /// Cuts the workload with `address` off; the interface disappears from its namespace.
    pub fn disconnect(&self, address: IpAddr) -> Result<(), BridgeError> {
        let cut = format!("link del {}", cable_name(address));
        let failed = |source| BridgeError::Connect { address, source };
        self.home.enter(|| tool::ip(&cut))?.map_err(failed)
    }

    fn workload_side(&self, address: IpAddr) -> String {
        let length = self.plan.subnet.prefix_len();
        let gateway = self.address();
        format!(
            "link set {WORKLOAD_INTERFACE} addrgenmode none address {}\n\
             address add {address}/{length} dev {WORKLOAD_INTERFACE}{}\n\
             link set {WORKLOAD_INTERFACE} up\n\
             route add default via {gateway}\n",
            hardware_address(address),
            without_delay(address)
        )
    }
}

fn creation(plan: &Plan) -> String {
    let Plan { name, subnet } = plan;
    let address = plan.address();
    let mut lines = String::from("link set lo up\n");
    // No spanning tree: there is one bridge, and a port that waits to forward would lose the first connections.
    let _ = writeln!(lines, "link add {name} type bridge forward_delay 0 stp_state 0");
    let _ = writeln!(lines, "link set {name} addrgenmode none");
    let _ = writeln!(
        lines,
        "address add {address}/{} dev {name}{}",
        subnet.prefix_len(),
        without_delay(address)
    );
    let _ = writeln!(lines, "link set {name} up");
    let everything = if matches!(subnet, IpNet::V4(_)) {
        "0.0.0.0/0"
    } else {
        "::/0"
    };
    let _ = writeln!(lines, "route add unreachable {everything}");
    lines
}

/// Refuses what workloads send beyond the bridge, by a reset: over a veth pair an ICMP answer to a SYN
/// arrives while `connect` still holds its socket, and the kernel drops it.
fn edge(plan: &Plan) -> String {
    let Plan { name, subnet } = plan;
    let family = if matches!(subnet, IpNet::V4(_)) {
        "ip"
    } else {
        "ip6"
    };
    format!(
        "table inet wattle_edge {{\n\
         \tchain prerouting {{\n\
         \t\ttype filter hook prerouting priority 0; policy accept;\n\
         \t\tiifname != \"{name}\" return\n\
         \t\t{family} daddr {subnet} return\n\
         \t\tmeta l4proto tcp reject with tcp reset\n\
         \t\tmeta l4proto udp reject\n\
         \t}}\n}}\n"
    )
}

/// Nobody else can hold an address on our own bridge, so IPv6 need not ask around before using it.
fn without_delay(address: IpAddr) -> &'static str {
    if address.is_ipv6() { " nodad" } else { "" }
}

/// Follows from the address, so that neighbours need not learn anew when a workload is replaced at its address.
fn hardware_address(address: IpAddr) -> String {
    let last = match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() & 0xff_ffff_ffff) as u64,
    };
    // 02 in the first byte: locally administered, unicast.
    let bytes = (0x02 << 40 | last).to_be_bytes();
    bytes[2..]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(":")
}

/// The bridge's end of a workload's cable, at most 15 bytes, one per address.
fn cable_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("wv{:08x}", address.to_bits()),
        IpAddr::V6(address) => format!("wv{:012x}", address.to_bits() & 0xffff_ffff_ffff),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_bridge_takes_the_first_host_address() {
        assert_eq!(Plan::default().address().to_string(), "10.244.0.1");
    }

    #[test]
    fn a_hardware_address_follows_from_the_address() {
        assert_eq!(
            hardware_address("10.244.1.2".parse().unwrap()),
            "02:00:0a:f4:01:02"
        );
        assert_eq!(hardware_address("fd00::1".parse().unwrap()), "02:00:00:00:00:01");
    }

    #[test]
    fn every_address_has_a_cable_name_an_interface_can_have() {
        assert_eq!(cable_name("10.244.1.2".parse().unwrap()), "wv0af40102");
        assert!(cable_name("fd00::ffff:ffff:ffff".parse().unwrap()).len() <= 15);
    }
}
