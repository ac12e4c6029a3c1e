//! Who is at the far end of a stream, as far as it was proven or said.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use wattle_identity::SpiffeId;
use wattle_wire::proto::discovery::Node;

use super::Denied;

/// Longest text taken from a node's introduction, bytes.
const MAX_NODE_TEXT: usize = 512;

/// The far end of a stream.
pub(super) struct Guest {
    /// What it proved to be.
    pub(super) peer: SpiffeId,
    pub(super) address: SocketAddr,
    /// `namespace/instance`; empty until its first request.
    pub(super) node: Arc<str>,
    /// Program and version it says it is.
    pub(super) agent: String,
    pub(super) opened: Instant,
}

impl Guest {
    pub(super) fn new(peer: SpiffeId, address: SocketAddr, now: Instant) -> Self {
        Self {
            peer,
            address,
            node: "".into(),
            agent: String::new(),
            opened: now,
        }
    }

    /// Takes in the node's introduction; a name outside the namespace of its identity is refused.
    pub(super) fn introduce(&mut self, node: Option<&Node>) -> Result<(), Denied> {
        let Some(node) = node.filter(|node| !node.id.is_empty()) else {
            return Ok(());
        };
        let namespace = node.id.split_once('/').map(|(namespace, _)| namespace);
        if namespace != Some(self.peer.namespace()) || node.id.len() > MAX_NODE_TEXT {
            let shown: String = node.id.chars().take(MAX_NODE_TEXT).collect();
            return Err(Denied::Node {
                node: shown,
                peer: self.peer.to_string(),
            });
        }
        self.node = node.id.as_str().into();
        let agent = format!("{} {}", node.user_agent_name, node.user_agent_version);
        self.agent = agent.trim().chars().take(MAX_NODE_TEXT).collect();
        Ok(())
    }
}
