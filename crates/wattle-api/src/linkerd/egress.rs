//! Linkerd EgressNetwork: addresses outside the mesh, and whether they may be called.

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded};
use crate::scalar;

/// Most networks, and exceptions of one.
const MAX_ITEMS: usize = 256;

/// `spec` of an EgressNetwork.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EgressNetwork {
    /// What happens to traffic that no route matches.
    pub traffic_policy: TrafficPolicy,
    /// The addresses it is for; none means everything outside the mesh.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
}

/// What happens to traffic that no route matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum TrafficPolicy {
    /// It may leave.
    Allow,
    /// It is refused.
    Deny,
}

/// A block of addresses with holes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    /// The block.
    #[serde(serialize_with = "text")]
    pub cidr: IpNet,
    /// Blocks inside it that do not belong to it.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub except: Vec<IpNet>,
}

fn text<S: Serializer>(block: &IpNet, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(block)
}

fn texts<S: Serializer>(blocks: &[IpNet], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(blocks.iter().map(ToString::to_string))
}

pub(crate) fn egress_network(cursor: &Cursor<'_>) -> Decoded<EgressNetwork> {
    let fields = cursor.fields(&["trafficPolicy", "networks"])?;
    let policies = [("Allow", TrafficPolicy::Allow), ("Deny", TrafficPolicy::Deny)];
    let traffic_policy = fields.required("trafficPolicy", |at| scalar::word(at, &policies));
    let networks = fields.list("networks", MAX_ITEMS, network);
    Ok(EgressNetwork {
        traffic_policy: traffic_policy?,
        networks: networks?,
    })
}

pub(super) fn network(cursor: &Cursor<'_>) -> Decoded<Network> {
    let fields = cursor.fields(&["cidr", "except"])?;
    let cidr = fields.required("cidr", scalar::ip_block);
    let except = fields.list("except", MAX_ITEMS, scalar::ip_block);
    let network = Network {
        cidr: cidr?,
        except: except?,
    };
    match network.except.iter().find(|hole| !network.cidr.contains(*hole)) {
        None => Ok(network),
        Some(hole) => Err(cursor.refuse(
            "incompatible-fields",
            format!("{hole} in except does not lie in {}", network.cidr),
        )),
    }
}
