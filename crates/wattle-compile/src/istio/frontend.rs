//! What a host names: a Service, or a host of a ServiceEntry, with its ports.

use std::collections::BTreeSet;
use std::sync::Arc;

use wattle_api::istio::{AppProtocol, EntryPort, Resolution, ServiceEntry};
use wattle_api::{Exposure, Resource, Service};
use wattle_model::{BackendId, ByName, HostMatch, Protocol, ServicePort};

use super::{host, owner};
use crate::backend_policy::{self, Tls};
use crate::view::View;
use crate::{Name, backend};

/// A Service or a host of a ServiceEntry.
#[derive(Clone)]
pub(crate) struct Frontend<'a> {
    /// Namespace, and name of the Service or host of the ServiceEntry.
    pub(crate) name: Name,
    /// Fully qualified host.
    pub(crate) host: Arc<str>,
    of: Of<'a>,
}

#[derive(Clone)]
enum Of<'a> {
    Service(&'a Service),
    /// Of the ServiceEntries of one host in a namespace the first that has a port counts there, as in Istio.
    Entries(Vec<&'a ServiceEntry>),
}

/// One of its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrontendPort {
    pub(crate) number: u16,
    pub(crate) protocol: Protocol,
}

/// What `host`, fully qualified, names for callers in `from`; nothing that is not visible there.
pub(crate) fn find<'a>(host: &Arc<str>, from: &str, view: &View<'a>) -> Option<Frontend<'a>> {
    if let Some(name) = host::service(host, view.settings) {
        let service = view.service(&name)?;
        let external = service.spec.exposure == Exposure::ExternalName;
        return (!external).then(|| of_service(&name, service, view));
    }
    of_entries(host, from, view)
}

/// A host of ServiceEntries that callers in `from` may see: those of one namespace, the nearest, else the first by name.
pub(crate) fn of_entries<'a>(host: &Arc<str>, from: &str, view: &View<'a>) -> Option<Frontend<'a>> {
    let mut counting = owner::counting(view.entries_of(host), from, view).peekable();
    let namespace = &counting.peek()?.meta.namespace;
    Some(Frontend {
        name: (Arc::clone(namespace), Arc::clone(host)),
        host: Arc::clone(host),
        of: Of::Entries(
            counting
                .filter(|entry| entry.meta.namespace == *namespace)
                .map(|entry| &entry.spec)
                .collect(),
        ),
    })
}

/// Is the ServiceEntry for callers in `from`?
pub(crate) fn is_visible(entry: &Resource<ServiceEntry>, from: &str) -> bool {
    entry
        .spec
        .export_to
        .reaches(&entry.meta.namespace, from)
        .unwrap_or(true)
}

/// A Service as a frontend.
pub(crate) fn of_service<'a>(name: &Name, service: &'a Resource<Service>, view: &View<'_>) -> Frontend<'a> {
    Frontend {
        name: name.clone(),
        host: crate::host::qualified(name, view.settings),
        of: Of::Service(&service.spec),
    }
}

/// A host of one ServiceEntry as a frontend.
pub(crate) fn of_entry<'a>(entry: &'a Resource<ServiceEntry>, host: &Arc<str>) -> Frontend<'a> {
    Frontend {
        name: (Arc::clone(&entry.meta.namespace), Arc::clone(host)),
        host: Arc::clone(host),
        of: Of::Entries(vec![&entry.spec]),
    }
}

impl Frontend<'_> {
    /// The TCP port of this number.
    pub(crate) fn port(&self, number: u16) -> Option<FrontendPort> {
        let protocol = match &self.of {
            Of::Service(service) => backend::protocol_of(backend::port(service, number)?),
            Of::Entries(_) => protocol(self.entry(number)?.1)?,
        };
        Some(FrontendPort { number, protocol })
    }

    /// The ServiceEntry that a port is of.
    fn entry(&self, number: u16) -> Option<(&ServiceEntry, &EntryPort)> {
        let Of::Entries(entries) = &self.of else {
            return None;
        };
        let ports = entries
            .iter()
            .flat_map(|entry| entry.ports.iter().map(move |port| (*entry, port)));
        let mut ports = ports.filter(|(_, port)| port.number.number() == number);
        ports.next()
    }

    /// Is TLS asked for on a port, by a BackendTLSPolicy, that cannot be had?
    pub(crate) fn lacks_tls(&self, number: u16, view: &View<'_>) -> bool {
        let Of::Service(service) = &self.of else {
            return false;
        };
        backend::port(service, number)
            .is_some_and(|port| matches!(backend_policy::tls(&self.name, port, view), Tls::Broken))
    }

    /// Names that certificates of its endpoints have one of, where it says so.
    pub(crate) fn subject_alt_names(&self, port: u16) -> &[String] {
        self.entry(port)
            .map_or(&[], |(entry, _)| &entry.subject_alt_names)
    }

    /// Numbers of its TCP ports.
    pub(crate) fn ports(&self) -> Vec<u16> {
        match &self.of {
            Of::Service(service) => {
                let tcp = service
                    .ports
                    .iter()
                    .filter(|port| port.protocol == wattle_api::Protocol::Tcp);
                tcp.map(|port| port.port.number()).collect()
            }
            Of::Entries(entries) => {
                let ports = entries.iter().flat_map(|entry| &entry.ports);
                let numbers: BTreeSet<_> = ports.map(|port| port.number.number()).collect();
                numbers.into_iter().collect()
            }
        }
    }

    /// Its only TCP port.
    pub(crate) fn only_port(&self) -> Option<FrontendPort> {
        match self.ports()[..] {
            [number] => self.port(number),
            _ => None,
        }
    }

    /// The id of a port's endpoints; empty when the dialled address itself is the endpoint, or what DNS gives.
    pub(crate) fn id(&self, port: u16) -> BackendId {
        match self.entry(port) {
            Some((entry, _)) if matches!(entry.resolution, Resolution::None | Resolution::DynamicDns) => {
                "".into()
            }
            _ => backend::id(&self.name, port),
        }
    }

    /// The hosts that a port takes, and where they listen, where its endpoint is what DNS gives for the host asked for.
    pub(crate) fn by_name(&self, port: u16) -> Option<Arc<ByName>> {
        let (entry, port) = self.entry(port)?;
        let hosts = entry.hosts.iter();
        (entry.resolution == Resolution::DynamicDns).then(|| {
            Arc::new(ByName {
                hosts: hosts.map(|host| HostMatch::parse(&host.to_string())).collect(),
                port: port.target_port.unwrap_or(port.number).number(),
            })
        })
    }

    /// The frontend as metrics name it.
    pub(crate) fn service_port(&self, port: u16) -> ServicePort {
        ServicePort {
            namespace: Arc::clone(&self.name.0),
            name: Arc::clone(&self.name.1),
            host: Arc::clone(&self.host),
            port,
        }
    }
}

/// What is spoken on a port of a ServiceEntry; `None` for datagrams.
pub(crate) fn protocol(port: &EntryPort) -> Option<Protocol> {
    port.protocol.map_or(Some(Protocol::Detect), spoken)
}

/// A protocol in Istio's words; `None` for datagrams.
pub(crate) fn spoken(protocol: AppProtocol) -> Option<Protocol> {
    Some(match protocol {
        AppProtocol::Http | AppProtocol::GrpcWeb => Protocol::Http1,
        AppProtocol::Http2 => Protocol::Http2,
        AppProtocol::Grpc => Protocol::Grpc,
        AppProtocol::Https | AppProtocol::Tls => Protocol::Tls,
        AppProtocol::Tcp | AppProtocol::Mongo | AppProtocol::Redis | AppProtocol::Mysql => Protocol::Tcp,
        AppProtocol::Udp => return None,
    })
}
