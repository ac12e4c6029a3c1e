//! Ports of Services as backends, and whether a route may refer to them.

use std::fmt;
use std::sync::Arc;

use wattle_api::{BackendObject, BackendRef, Exposure, Protocol as Transport, Resource, Service};
use wattle_model::{Backend, BackendId, CallerLabel, ServicePort};

use crate::any_route::AnyRoute;
use crate::backend_policy::{self, Tls};
use crate::view::View;
use crate::{Name, Settings, host, istio, linkerd, protocol};

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
    /// The port is declared to speak something that requests cannot be sent to.
    Protocol,
    /// A BackendTLSPolicy asks for TLS that cannot be had.
    Tls,
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

/// The protocol of a port, which annotations of its Service may have made opaque.
pub(crate) fn protocol_on(
    service: &Resource<Service>,
    port: &wattle_api::ServicePort,
) -> wattle_model::Protocol {
    if linkerd::is_opaque(&service.meta, port.port.number()) {
        return wattle_model::Protocol::Tcp;
    }
    protocol_of(port)
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
        let found = view.service(name).and_then(|service| {
            let frontend = istio::frontend::of_service(name, service, view);
            let port = frontend.port(number)?;
            istio::policy::backend(&frontend, port, from, view).ok()
        });
        let backend = found.unwrap_or_else(|| Backend {
            id: id(name, number),
            service: Some(frontend(name, number, view.settings)),
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
            .position(|known| known.service == backend.service && ids(known).eq(ids(&backend)));
        let index = known.unwrap_or_else(|| {
            self.0.push(backend);
            self.0.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }
}

/// What tells a backend from others of its service: its endpoints, and which they are to whom.
fn ids(backend: &Backend) -> impl Iterator<Item = (&[CallerLabel], Option<&BackendId>)> {
    let callers = backend.callers.iter();
    let callers = callers.map(|caller| (&*caller.labels, caller.seen.as_ref().map(|seen| &seen.id)));
    std::iter::once((&[][..], Some(&backend.id))).chain(callers)
}

/// A reference to a backend, as written.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    is_service: bool,
    namespace: Option<&'a str>,
    name: &'a str,
    port: Option<u16>,
}

impl<'a> Target<'a> {
    pub(crate) fn of_service(name: &'a Name, port: u16) -> Self {
        Self {
            is_service: true,
            namespace: Some(&name.0),
            name: &name.1,
            port: Some(port),
        }
    }
}

impl<'a> From<&'a BackendRef> for Target<'a> {
    fn from(written: &'a BackendRef) -> Self {
        Self {
            is_service: written.is_service(),
            namespace: written.namespace.as_deref(),
            name: &written.name,
            port: written.port.map(wattle_api::Port::number),
        }
    }
}

impl<'a> From<&'a BackendObject> for Target<'a> {
    fn from(written: &'a BackendObject) -> Self {
        Self {
            is_service: written.is_service(),
            namespace: written.namespace.as_deref(),
            name: &written.name,
            port: written.port.map(wattle_api::Port::number),
        }
    }
}

/// `reviews-v2:9080`, with the namespace in front when it was written.
impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(self.name)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// The Service and port that a route attached to `parent` refers to.
pub(crate) fn resolve<'a>(
    written: &Target<'_>,
    route: &AnyRoute<'_>,
    parent: &Name,
    view: &View<'a>,
) -> Result<(Name, &'a wattle_api::ServicePort), Fault> {
    if !written.is_service {
        return Err(Fault::Kind);
    }
    let own = &route.meta.namespace;
    let namespace = written.namespace.map_or_else(|| Arc::clone(own), Arc::from);
    let name: Name = (namespace, written.name.into());
    if name.0 != *own && name.0 != parent.0 && !granted(&name, route, view) {
        return Err(Fault::NotPermitted);
    }
    let service = view.service(&name).ok_or(Fault::NotFound)?;
    if service.spec.exposure == Exposure::ExternalName {
        return Err(Fault::External);
    }
    let number = written.port.ok_or(Fault::PortNotFound)?;
    let port = port(&service.spec, number).ok_or(Fault::PortNotFound)?;
    if route.is_for_requests() && is_declared_opaque(port) {
        return Err(Fault::Protocol);
    }
    match backend_policy::tls(&name, port, view) {
        Tls::Broken => Err(Fault::Tls),
        Tls::None | Tls::Origination(..) => Ok((name, port)),
    }
}

/// True when `appProtocol` says that the port speaks something that requests cannot be sent to.
fn is_declared_opaque(port: &wattle_api::ServicePort) -> bool {
    let declared = port.app_protocol.as_deref().and_then(protocol::of_app_protocol);
    declared == Some(wattle_model::Protocol::Tcp)
}

fn granted(backend: &Name, route: &AnyRoute<'_>, view: &View<'_>) -> bool {
    view.grants_in(&backend.0).any(|grant| {
        let from = grant.spec.from.iter().any(|from| {
            from.group == route.kind.group()
                && from.kind == route.kind.as_str()
                && *from.namespace == *route.meta.namespace
        });
        let named = |name: &String| **name == *backend.1;
        let mut to = grant.spec.to.iter();
        from && to.any(|to| to.group.is_empty() && to.kind == "Service" && to.name.as_ref().is_none_or(named))
    })
}
