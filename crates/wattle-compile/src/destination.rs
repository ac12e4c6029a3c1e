//! What a caller in one namespace reaches under a name or address.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use wattle_api::Exposure;
use wattle_model::{Backend, Destination, Protocol};

use crate::backend::{self, Backends};
use crate::host::{self, Target};
use crate::istio::frontend::Frontend;
use crate::istio::http::Scene;
use crate::istio::scope::Dialled;
use crate::view::View;
use crate::{Name, inbound, istio, route};

/// The destination that `name` is for callers in `from`; `None` when `name` is neither `ip:port` nor `host:port`.
pub(crate) fn destination(name: &Arc<str>, from: &Arc<str>, view: &View<'_>) -> Option<Destination> {
    Some(match host::target(name, from, view.settings)? {
        Target::Service(service, port) => of_service(name, &service, port, from, view)
            .or_else(|| foreign(name, from, view))
            .unwrap_or_else(|| unknown(name, from, view)),
        Target::Address(address, port) => of_address(name, address, port, from, view),
        Target::Foreign => foreign(name, from, view).unwrap_or_else(|| unknown(name, from, view)),
    })
}

/// A virtual address is a Service, a workload's address is that workload alone, any other is passed through.
fn of_address(name: &Arc<str>, address: IpAddr, port: u16, from: &Arc<str>, view: &View<'_>) -> Destination {
    let service = view
        .service_at(address)
        .and_then(|service| of_service(name, &service, port, from, view));
    let entry = || {
        let frontend = istio::entry::at_address(address, port, from, view)?;
        of_frontend(name, &frontend, port, from, view)
    };
    service
        .or_else(entry)
        .or_else(|| of_workload(name, address, port, view))
        .unwrap_or_else(|| unknown(name, from, view))
}

fn of_service(
    name: &Arc<str>,
    service: &Name,
    number: u16,
    from: &Arc<str>,
    view: &View<'_>,
) -> Option<Destination> {
    // An ExternalName is an alias of a name outside; its traffic goes where the caller resolved it to.
    let found = view
        .service(service)
        .filter(|found| found.spec.exposure != Exposure::ExternalName)?;
    let port = backend::port(&found.spec, number)?;
    let frontend = istio::frontend::of_service(service, found, view);
    let mut found = of_frontend(name, &frontend, number, from, view)?;
    // A VirtualService hides the HTTPRoutes of its host, as in Istio; `diagnose` says so.
    if istio::routes::of_host(&frontend.host, from, view).is_none() {
        let mut backends = Backends(std::mem::take(&mut found.backends));
        found.routes = route::table(service, port, from, &mut backends, view);
        found.backends = backends.0;
    }
    Some(found)
}

/// A port of a Service or of a ServiceEntry's host, with the routes of its VirtualService.
pub(crate) fn of_frontend(
    name: &Arc<str>,
    frontend: &Frontend<'_>,
    number: u16,
    from: &Arc<str>,
    view: &View<'_>,
) -> Option<Destination> {
    let port = frontend.port(number)?;
    let mut backends = Backends::default();
    let own = backends.add(istio::policy::backend(frontend, port, None, from, view).ok()?);
    let mut found = Destination {
        name: Arc::clone(name),
        service: Some(frontend.service_port(number)),
        protocol: port.protocol,
        default_backend: Some(own),
        scopes: istio::scope::scopes(
            Dialled::Service {
                namespace: &frontend.name.0,
                host: &frontend.host,
                port: number,
            },
            from,
            view,
        ),
        ..Destination::default()
    };
    if let Some(applying) = istio::routes::of_host(&frontend.host, from, view) {
        let scene = Scene {
            from,
            port: number,
            namespace: &applying.meta.namespace,
            view,
        };
        found.routes = istio::http::table(applying, scene, &mut backends);
        found.connections = istio::connection::table(applying, scene, &mut backends);
    }
    found.backends = backends.0;
    Some(found)
}

/// Routes do not apply to a workload's own address (a call past the Service).
fn of_workload(name: &Arc<str>, address: IpAddr, port: u16, view: &View<'_>) -> Option<Destination> {
    let instance = view.workload_at(address)?;
    let declared = inbound::ports(instance, view)
        .into_iter()
        .find(|declared| declared.port == port);
    let (protocol, service) = declared.map_or((Protocol::Detect, None), |declared| {
        (declared.protocol, declared.service)
    });
    let id = SocketAddr::new(address, port).to_string().into();
    Some(one_backend(
        name,
        Backend {
            id,
            service,
            protocol,
            ..Backend::default()
        },
    ))
}

/// A host of a ServiceEntry.
fn foreign(name: &Arc<str>, from: &Arc<str>, view: &View<'_>) -> Option<Destination> {
    let (host, port) = name.rsplit_once(':')?;
    let host: Arc<str> = host.to_ascii_lowercase().into();
    istio::entry::of_host(name, &host, port.parse().ok()?, from, view)
}

/// What nothing names: as it was dialled, unless the callers may not.
fn unknown(name: &Arc<str>, from: &Arc<str>, view: &View<'_>) -> Destination {
    let mut found = pass_through(name);
    found.scopes = istio::scope::scopes(Dialled::Unknown, from, view);
    let port = name.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    if let Some(port) = port {
        istio::entry::open_rules(&mut found, port, from, view);
    }
    found
}

fn pass_through(name: &Arc<str>) -> Destination {
    one_backend(
        name,
        Backend {
            id: "".into(),
            service: None,
            protocol: Protocol::Detect,
            ..Backend::default()
        },
    )
}

fn one_backend(name: &Arc<str>, backend: Backend) -> Destination {
    Destination {
        name: Arc::clone(name),
        service: None,
        protocol: backend.protocol,
        backends: vec![backend],
        default_backend: Some(0),
        ..Destination::default()
    }
}
