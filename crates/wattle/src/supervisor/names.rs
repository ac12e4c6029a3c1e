//! Which names a workload can resolve, and to what.

use std::collections::BTreeMap;
use std::net::IpAddr;

use wattle_api::Labels;
use wattle_capture::names::{Hosts, NamesError};

use crate::mesh::view::ServiceView;

use super::status::Name;
use super::wanted::SelectingService;

/// A workload others may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its labels.
    pub(crate) labels: Labels,
    /// Where it is.
    pub(crate) address: IpAddr,
}

/// Where the names of services lead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Directory {
    /// With virtual addresses, for workloads with a proxy.
    pub(crate) virtual_addresses: Vec<ServiceView>,
    /// With the addresses of the workloads behind, by service, for those without: nobody would answer a virtual one.
    pub(crate) direct: BTreeMap<Name, Vec<IpAddr>>,
}

/// The workloads behind each service.
pub(crate) fn direct(services: &[SelectingService], targets: &[Target]) -> BTreeMap<Name, Vec<IpAddr>> {
    let behind = |service: &SelectingService| {
        let selected = targets.iter().filter(|target| {
            let matches = |(key, value)| target.labels.get(key) == Some(value);
            target.namespace == service.name.namespace && service.selector.iter().all(matches)
        });
        selected.map(|target| target.address).collect()
    };
    services
        .iter()
        .map(|service| (service.name.clone(), behind(service)))
        .collect()
}

/// The hosts file of a workload.
pub(crate) fn hosts(
    instance: &Name,
    address: IpAddr,
    meshed: bool,
    directory: &Directory,
) -> Result<Hosts, NamesError> {
    let mut hosts = Hosts::new(&instance.name, address)?;
    for service in &directory.virtual_addresses {
        let own = service.namespace == instance.namespace;
        let names = service.names.iter().filter(|name| own || name.contains('.'));
        let addresses = match (meshed, service.address) {
            (true, Some(address)) => vec![address],
            _ => {
                let name = Name::new(&service.namespace, &service.name);
                directory.direct.get(&name).cloned().unwrap_or_default()
            }
        };
        for name in names {
            for address in &addresses {
                hosts.add(*address, name)?;
            }
        }
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn directory() -> Directory {
        let names = [
            "redis.shop.svc.cluster.local",
            "redis.shop.svc",
            "redis.shop",
            "redis",
        ];
        let service = ServiceView {
            namespace: "shop".to_owned(),
            name: "redis".to_owned(),
            host: names[0].to_owned(),
            names: names.map(str::to_owned).to_vec(),
            address: Some([10, 96, 0, 7].into()),
        };
        let selecting = SelectingService {
            name: Name::new("shop", "redis"),
            selector: Labels::from([("app".to_owned(), "redis".to_owned())]),
        };
        let target = |namespace: &str, last| Target {
            namespace: namespace.to_owned(),
            labels: selecting.selector.clone(),
            address: [10, 244, 0, last].into(),
        };
        Directory {
            direct: direct(
                std::slice::from_ref(&selecting),
                &[target("shop", 9), target("other", 8)],
            ),
            virtual_addresses: vec![service],
        }
    }

    fn text(namespace: &str, meshed: bool) -> String {
        let instance = Name::new(namespace, "client");
        hosts(&instance, [10, 244, 0, 2].into(), meshed, &directory())
            .unwrap()
            .render()
    }

    #[test]
    fn a_workload_with_a_proxy_resolves_a_service_to_its_virtual_address() {
        assert!(text("shop", true).contains("10.96.0.7 redis\n"));
        assert!(text("shop", true).contains("10.244.0.2 client\n"));
    }

    #[test]
    fn the_bare_name_counts_only_at_home() {
        let text = text("other", true);
        assert!(
            text.contains("10.96.0.7 redis.shop\n") && !text.contains(" redis\n"),
            "{text}"
        );
    }

    #[test]
    fn a_workload_without_a_proxy_is_sent_to_the_workloads_behind() {
        let text = text("shop", false);
        assert!(text.contains("10.244.0.9 redis\n"), "{text}");
        assert!(
            !text.contains("10.96.0.7") && !text.contains("10.244.0.8"),
            "{text}"
        );
    }
}
