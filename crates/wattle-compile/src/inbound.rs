//! What the proxy of a workload enforces.

use std::collections::BTreeMap;
use std::sync::Arc;

use wattle_api::{ClusterIp, NormalizationType, Protocol as Transport};
use wattle_model::{Inbound, InboundPort, MtlsMode, PathNormalization, Protocol};

use crate::linkerd::server;
use crate::view::View;
use crate::{
    Instance, Name, authorization, backend, endpoints, external, istio, peer_authentication, protocol,
    rate_limit, request_authentication,
};

/// The inbound side of `namespace/instance`; `None` when there is no such workload.
pub(crate) fn inbound(name: &Arc<str>, view: &View<'_>) -> Option<Inbound> {
    let (namespace, instance) = name.split_once('/')?;
    let instance = view.workload(&(namespace.into(), instance.into()))?;
    let modes = peer_authentication::effective(instance, view);
    let mut ports = ports(instance, view);
    for port in modes.ports.keys() {
        if !ports.iter().any(|declared| declared.port == *port) {
            ports.push(undeclared(*port));
        }
    }
    let sidecar = istio::scope::of_workload(&instance.name(), &instance.labels, view);
    if let Some(sidecar) = sidecar {
        istio::ingress::apply(sidecar, &mut ports);
    }
    ports.sort_by_key(|declared| declared.port);
    for port in &mut ports {
        let (mtls, origin) = modes.on(port.port);
        port.mtls = mtls;
        port.mtls_origin = origin.cloned();
    }
    Some(Inbound {
        name: Arc::clone(name),
        workload: (*instance.workload).clone(),
        ports,
        mtls: modes.mode,
        mtls_origin: modes.origin,
        tokens: request_authentication::of(instance, view),
        paths: paths(view),
        authorization: authorization::of(instance, view),
        locality: instance.locality.clone(),
        labels: instance
            .labels
            .iter()
            .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
            .collect(),
        limits: sidecar
            .and_then(|sidecar| sidecar.spec.inbound_connection_pool.as_ref())
            .map(istio::policy::limits)
            .unwrap_or_default(),
        rate_limits: rate_limit::of(instance, view),
    })
}

/// In which form paths reach applications. `NONE` is what is done where nothing is said: policies know odd spellings.
fn paths(view: &View<'_>) -> PathNormalization {
    let said = external::mesh_config(view).and_then(|(_, config)| config.path_normalization);
    match said.map(|said| said.normalization) {
        None | Some(NormalizationType::None) => PathNormalization::AsSent,
        Some(NormalizationType::Base) => PathNormalization::Base,
        Some(NormalizationType::MergeSlashes) => PathNormalization::MergeSlashes,
        Some(NormalizationType::DecodeAndMergeSlashes) => PathNormalization::DecodeAndMergeSlashes,
    }
}

/// A port of a workload that a headless Service gives to its clients.
pub(crate) struct HeadlessPort {
    pub(crate) service: Name,
    /// As the Service numbers it.
    pub(crate) port: u16,
    /// As the workload does, where it is dialled.
    pub(crate) target: u16,
}

/// Ports at which clients of headless Services dial the workload itself.
pub(crate) fn headless_ports(instance: &Instance, view: &View<'_>) -> Vec<HeadlessPort> {
    let services = view.services_selecting(instance);
    let mut found = Vec::new();
    for service in services.filter(|service| service.spec.cluster_ip == ClusterIp::Headless) {
        let ports = service.spec.ports.iter();
        for exposed in ports.filter(|port| port.protocol == Transport::Tcp) {
            let given = endpoints::target(exposed, instance).map(|target| HeadlessPort {
                service: (
                    Arc::clone(&service.meta.namespace),
                    Arc::clone(&service.meta.name),
                ),
                port: exposed.port.number(),
                target,
            });
            found.extend(given);
        }
    }
    found
}

/// Ports that the workload or a Service declares, by number, without their mutual TLS mode.
///
/// The first Service by name that exposes a port gives it its name; the first that declares a protocol gives that.
pub(crate) fn ports(instance: &Instance, view: &View<'_>) -> Vec<InboundPort> {
    let mut ports: BTreeMap<u16, InboundPort> = BTreeMap::new();
    for service in view.services_selecting(instance) {
        let name = (
            Arc::clone(&service.meta.namespace),
            Arc::clone(&service.meta.name),
        );
        for exposed in service
            .spec
            .ports
            .iter()
            .filter(|port| port.protocol == Transport::Tcp)
        {
            let Some(number) = endpoints::target(exposed, instance) else {
                continue;
            };
            let port = ports.entry(number).or_insert_with(|| undeclared(number));
            port.service
                .get_or_insert_with(|| backend::frontend(&name, exposed.port.number(), view.settings));
            declare(port, backend::protocol_on(service, exposed));
        }
    }
    for (server, number) in server::of(instance, view) {
        let port = ports.entry(number).or_insert_with(|| undeclared(number));
        // A Server is about the workload itself, and so wins over Services.
        port.protocol = server::protocol(&server.spec).unwrap_or(port.protocol);
    }
    // A WorkloadEntry knows the numbers of its ports; what they speak, its Process says.
    let process = view
        .process_of(instance)
        .into_iter()
        .flat_map(|process| &process.ports);
    for own in process.chain(&instance.ports) {
        let port = ports.entry(own.port).or_insert_with(|| undeclared(own.port));
        declare(
            port,
            protocol::declared(own.app_protocol.as_deref(), own.name.as_deref()),
        );
    }
    let process = view.process_of(instance).map(|process| &process.opaque_ports);
    let opaque =
        |port: u16| instance.opaque_ports.contains(port) || process.is_some_and(|ports| ports.contains(port));
    for port in ports.values_mut().filter(|declared| opaque(declared.port)) {
        port.protocol = Protocol::Tcp;
    }
    ports.into_values().collect()
}

fn declare(port: &mut InboundPort, protocol: Protocol) {
    if port.protocol == Protocol::Detect {
        port.protocol = protocol;
    }
}

pub(crate) fn undeclared(port: u16) -> InboundPort {
    InboundPort {
        port,
        protocol: Protocol::Detect,
        mtls: MtlsMode::Permissive,
        mtls_origin: None,
        service: None,
        target: None,
    }
}
