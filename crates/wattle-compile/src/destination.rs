//! What a caller in one namespace reaches under a name or address.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use wattle_api::Exposure;
use wattle_api::istio::Resolution;
use wattle_model::{Backend, Destination, Protocol};

use crate::backend;
use crate::egress::Outside;
use crate::host::{self, Target};
use crate::istio;
use crate::istio::owner;
use crate::istio::scope::{self, Dialled};
use crate::port::{self, SeenPort};
use crate::view::View;
use crate::{Name, egress, inbound};

/// The destination that `name` is for callers in `from`; `None` when `name` is neither `ip:port` nor `host:port`.
pub(crate) fn destination(name: &Arc<str>, from: &Arc<str>, view: &View<'_>) -> Option<Destination> {
    let target = host::target(name, from, view.settings)?;
    let service = match &target {
        Target::Service(service, port) => of_service(name, service, *port, from, view),
        Target::Address(address, port) => view
            .service_at(*address, from)
            .and_then(|service| of_service(name, &service, *port, from, view)),
        Target::Foreign => None,
    };
    let workload = || match &target {
        Target::Address(address, port) => of_workload(name, (*address, *port), from, view),
        Target::Service(..) | Target::Foreign => None,
    };
    let found = service
        .or_else(|| of_entry(name, &target, from, view))
        .or_else(workload);
    let found = found.unwrap_or_else(|| outside(name, &target, from, view));
    Some(Destination {
        outside: matches!(target, Target::Address(address, _) if !is_owned(address, from, view)),
        ..found
    })
}

/// Does a Service, a ServiceEntry or a workload have this address, whoever may see it? Where a ServiceEntry goes to what was
/// dialled, its addresses are those of the outside.
fn is_owned(address: IpAddr, from: &str, view: &View<'_>) -> bool {
    let entries = view.entry_hosts_at(address);
    let mut virtually = entries.iter().map(|(entry, _)| entry.spec.resolution);
    virtually.any(|resolution| resolution != Resolution::None)
        || view.service_at(address, from).is_some()
        || view.workload_at(address).is_some()
}

/// What is neither a Service nor a workload, such as an ExternalName.
fn outside(name: &Arc<str>, target: &Target, from: &Arc<str>, view: &View<'_>) -> Destination {
    let (host, written) = name.rsplit_once(':').unwrap_or((name, ""));
    let (host, address, port) = match target {
        Target::Address(address, port) => (None, Some(*address), *port),
        Target::Service(_, port) => (Some(host), None, *port),
        Target::Foreign => (Some(host), None, written.parse().unwrap_or(0)),
    };
    let outside = Outside {
        name,
        host,
        address,
        port,
    };
    egress::destination(outside, from, view)
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
    let seen = SeenPort {
        name: service,
        service: found,
        port,
        from,
        view,
    };
    Some(Destination {
        name: Arc::clone(name),
        ..seen.compile()
    })
}

/// A host of a ServiceEntry, by its name or its address. To a Service no stranger adds ports so.
fn of_entry(name: &Arc<str>, target: &Target, from: &Arc<str>, view: &View<'_>) -> Option<Destination> {
    let service = match target {
        Target::Address(address, _) => view.service_at(*address, from),
        Target::Service(service, _) => Some(service.clone()),
        Target::Foreign => None,
    };
    let there = service.filter(|service| {
        let found = view.service(service);
        found.is_some_and(|found| found.spec.exposure != Exposure::ExternalName)
    });
    let (frontend, port) = match target {
        Target::Address(address, port) => (istio::entry::at_address(*address, *port, from, view)?, *port),
        Target::Service(..) | Target::Foreign => {
            let (host, port) = name.rsplit_once(':')?;
            let host: Arc<str> = host.to_ascii_lowercase().into();
            (
                istio::frontend::of_entries(&host, from, view)?,
                port.parse().ok()?,
            )
        }
    };
    let author = &frontend.name.0;
    if there.is_some_and(|service| !owner::speaks_for(author, &service.0, from, view)) {
        return None;
    }
    Some(Destination {
        name: Arc::clone(name),
        ..port::of_host(&frontend, port, from, view)?
    })
}

/// Routes do not apply to a workload's own address (a call past the Service). It is registered, as in Istio, where a
/// headless Service gives it to its clients.
fn of_workload(
    name: &Arc<str>,
    (address, port): (IpAddr, u16),
    from: &Arc<str>,
    view: &View<'_>,
) -> Option<Destination> {
    let instance = view.workload_at(address)?;
    let declared = inbound::ports(instance, view)
        .into_iter()
        .find(|declared| declared.port == port);
    let (protocol, service) = declared.map_or((Protocol::Detect, None), |declared| {
        (declared.protocol, declared.service)
    });
    let mut headless = inbound::headless_ports(instance, view).into_iter();
    let scopes = match headless.find(|given| given.target == port) {
        Some(given) => scope::known(
            Dialled::Service {
                namespace: &given.service.0,
                host: &host::qualified(&given.service, view.settings),
                port: given.port,
            },
            from,
            view,
        ),
        None => egress::past_services(from, view),
    };
    let backend = Backend {
        id: SocketAddr::new(address, port).to_string().into(),
        service,
        protocol,
        ..Backend::default()
    };
    Some(Destination {
        name: Arc::clone(name),
        protocol,
        scopes,
        backends: vec![backend],
        default_backend: Some(0),
        ..Destination::default()
    })
}
