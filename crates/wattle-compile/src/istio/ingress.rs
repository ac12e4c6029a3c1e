//! Ingress listeners of a Sidecar: ports of a workload that its application serves elsewhere.

use wattle_api::Resource;
use wattle_api::istio::{DefaultEndpoint, Sidecar};
use wattle_model::InboundPort;

use super::frontend;
use crate::inbound::undeclared;

/// Applies the listeners to the ports of a workload; one that nothing declares is added.
pub(crate) fn apply(sidecar: &Resource<Sidecar>, ports: &mut Vec<InboundPort>) {
    for listener in &sidecar.spec.ingress {
        let number = listener.port.number.number();
        if !ports.iter().any(|port| port.port == number) {
            ports.push(undeclared(number));
        }
        let Some(port) = ports.iter_mut().find(|port| port.port == number) else {
            continue;
        };
        if let Some(protocol) = listener.port.protocol.and_then(frontend::spoken) {
            port.protocol = protocol;
        }
        port.target = match &listener.default_endpoint {
            Some(DefaultEndpoint::Socket(address)) if !address.ip().is_unspecified() => Some(*address),
            _ => None,
        };
    }
}
