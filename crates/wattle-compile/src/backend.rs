//! Ports of Services as backends, and whether a route may refer to them.

use std::sync::Arc;

use wattle_api::{BackendRef, Exposure, HttpRoute, Kind, Protocol as Transport, Resource, Service};
use wattle_model::{Backend, BackendId, ServicePort};

use crate::view::View;
use crate::{Name, Settings, host, istio, protocol};

/// Why a reference to a backend cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not a Service.
    Kind,
    /// No such Service.
    NotFound,
    /// An alias of a name outside.
    External,
    /// The Service has no such TCP port.
    PortNotFound,
    /// In a namespace that neither is the route's or its parent's nor grants it.
    NotPermitted,
}

/// The id of a backend's Endpoints.
pub(crate) fn id(name: &Name, port: u16) -> BackendId {
    format!("{}/{}:{port}", name.0, name.1).into()
}

/// The Service port that an id names; `None` for the id of a single address.
pub(crate) fn of_id(id: &str) -> Option<(Name, u16)> {
    let (namespace, rest) = id.split_once('/')?;
    let (name, port) = rest.rsplit_once(':')?;
    Some(((namespace.into(), name.into()), port.parse().ok()?))
}

/// The TCP port of this number.
pub(crate) fn port(service: &Service, number: u16) -> Option<&wattle_api::ServicePort> {
    service
        .ports
        .iter()
        .find(|port| port.port.number() == number && port.protocol == Transport::Tcp)
}

/// The frontend that a port of a Service is.
pub(crate) fn frontend(name: &Name, port: u16, settings: &Settings) -> ServicePort {
    ServicePort {
        namespace: Arc::clone(&name.0),
        name: Arc::clone(&name.1),
        host: host::qualified(name, settings),
        port,
    }
}

/// The declared protocol of a Service port.
pub(crate) fn protocol_of(port: &wattle_api::ServicePort) -> wattle_model::Protocol {
    protocol::declared(port.app_protocol.as_deref(), port.name.as_deref())
}

/// The backends of one destination, each once.
#[derive(Default)]
pub(crate) struct Backends(pub(crate) Vec<Backend>);

impl Backends {
    /// The index of a port of a Service, with what DestinationRules say of it to callers in `from`.
    pub(crate) fn index(
        &mut self,
        name: &Name,
        port: &wattle_api::ServicePort,
        from: &Arc<str>,
        view: &View<'_>,
    ) -> u32 {
        let number = port.port.number();
        let host = host::qualified(name, view.settings);
        let found = view.service(name).and_then(|service| {
            let frontend = istio::frontend::of_service(name, service, view);
            let port = frontend.port(number)?;
            istio::policy::backend(&frontend, port, None, from, view).ok()
        });
        let backend = found.unwrap_or_else(|| Backend {
            id: id(name, number),
            service: Some(ServicePort {
                namespace: Arc::clone(&name.0),
                name: Arc::clone(&name.1),
                host,
                port: number,
            }),
            protocol: protocol_of(port),
            ..Backend::default()
        });
        self.add(backend)
    }

    /// The index of a backend, which is added unless it is there.
    pub(crate) fn add(&mut self, backend: Backend) -> u32 {
        let known = self
            .0
            .iter()
            .position(|known| known.id == backend.id && known.service == backend.service);
        let index = known.unwrap_or_else(|| {
            self.0.push(backend);
            self.0.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }
}

/// The Service and port that a route attached to `parent` refers to.
pub(crate) fn resolve<'a>(
    written: &BackendRef,
    route: &Resource<HttpRoute>,
    parent: &Name,
    view: &View<'a>,
) -> Result<(Name, &'a wattle_api::ServicePort), Fault> {
    if !written.is_service() {
        return Err(Fault::Kind);
    }
    let name = name_of(written, route);
    if name.0 != route.meta.namespace && name.0 != parent.0 && !granted(&name, route, view) {
        return Err(Fault::NotPermitted);
    }
    let service = view.service(&name).ok_or(Fault::NotFound)?;
    if service.spec.exposure == Exposure::ExternalName {
        return Err(Fault::External);
    }
    let number = written.port.ok_or(Fault::PortNotFound)?.number();
    let port = port(&service.spec, number).ok_or(Fault::PortNotFound)?;
    Ok((name, port))
}

/// Namespace and name of the Service that is referred to.
pub(crate) fn name_of(written: &BackendRef, route: &Resource<HttpRoute>) -> Name {
    let namespace = written
        .namespace
        .as_deref()
        .map_or_else(|| Arc::clone(&route.meta.namespace), Arc::from);
    (namespace, written.name.as_str().into())
}

/// `reviews-v2:9080`, with the namespace in front when it was written.
pub(crate) fn as_written(written: &BackendRef) -> Box<str> {
    let namespace = written
        .namespace
        .as_ref()
        .map(|namespace| format!("{namespace}/"))
        .unwrap_or_default();
    let port = written.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{namespace}{}{port}", written.name).into()
}

fn granted(backend: &Name, route: &Resource<HttpRoute>, view: &View<'_>) -> bool {
    view.grants_in(&backend.0).any(|grant| {
        let from = grant.spec.from.iter().any(|from| {
            from.group == Kind::HttpRoute.group()
                && from.kind == "HTTPRoute"
                && *from.namespace == *route.meta.namespace
        });
        let named = |name: &String| **name == *backend.1;
        let mut to = grant.spec.to.iter();
        from && to.any(|to| to.group.is_empty() && to.kind == "Service" && to.name.as_ref().is_none_or(named))
    })
}
