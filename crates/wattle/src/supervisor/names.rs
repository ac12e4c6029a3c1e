//! Which names a workload can resolve, and to what.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use wattle_api::Labels;
use wattle_capture::names::{Hosts, NamesError, RESOLV_CONF, resolv_conf};

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
    /// Every service with its names.
    pub(crate) services: Vec<ServiceView>,
    /// The addresses of the workloads behind, by service, for workloads without a proxy: nobody would answer a virtual
    /// one.
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

/// What names of Services end in.
const DOMAIN: &str = "cluster.local";

/// The domains that a resolver in `namespace` appends to short names, as in Kubernetes.
fn search(namespace: &str) -> Vec<String> {
    vec![
        format!("{namespace}.svc.{DOMAIN}"),
        format!("svc.{DOMAIN}"),
        DOMAIN.to_owned(),
    ]
}

/// The resolv.conf of a workload. What one with a proxy asks arrives there, whomever it asks.
pub(crate) fn resolvers(namespace: &str, meshed: bool, outside: &[IpAddr]) -> String {
    match (meshed, outside) {
        (true, _) => resolv_conf(&[Ipv4Addr::LOCALHOST.into()], &search(namespace)),
        (false, []) => RESOLV_CONF.to_owned(),
        (false, outside) => resolv_conf(outside, &[]),
    }
}

/// The resolv.conf of its proxy.
pub(crate) fn resolvers_outside(namespace: &str, outside: &[IpAddr]) -> String {
    resolv_conf(outside, &search(namespace))
}

/// The hosts file of a workload; that of one with a proxy knows nothing of services, since applications that do not
/// read it must find the same.
pub(crate) fn hosts(
    instance: &Name,
    address: IpAddr,
    meshed: bool,
    directory: &Directory,
) -> Result<Hosts, NamesError> {
    let mut hosts = Hosts::new(&instance.name, address)?;
    if meshed {
        return Ok(hosts);
    }
    for service in &directory.services {
        let own = service.namespace == instance.namespace;
        let names = service
            .names
            .iter()
            .filter(|name| (own || name.contains('.')) && !name.starts_with('*'));
        let name = Name::new(&service.namespace, &service.name);
        let addresses = directory.direct.get(&name).cloned().unwrap_or_default();
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
            services: vec![service],
        }
    }

    fn text(namespace: &str, meshed: bool) -> String {
        let instance = Name::new(namespace, "client");
        hosts(&instance, [10, 244, 0, 2].into(), meshed, &directory())
            .unwrap()
            .render()
    }

    #[test]
    fn the_file_of_a_workload_with_a_proxy_knows_only_the_workload() {
        assert!(text("shop", true).contains("10.244.0.2 client\n"));
        assert!(!text("shop", true).contains("redis"));
    }

    #[test]
    fn a_workload_with_a_proxy_asks_it_and_its_proxy_asks_outside() {
        let outside = [IpAddr::from([10, 0, 0, 53])];
        let search = "search shop.svc.cluster.local svc.cluster.local cluster.local\n";
        assert_eq!(
            resolvers("shop", true, &outside),
            format!("nameserver 127.0.0.1\n{search}")
        );
        assert_eq!(
            resolvers_outside("shop", &outside),
            format!("nameserver 10.0.0.53\n{search}")
        );
        assert_eq!(resolvers("shop", false, &outside), "nameserver 10.0.0.53\n");
        assert_eq!(resolvers("shop", false, &[]), RESOLV_CONF);
    }

    #[test]
    fn the_bare_name_counts_only_at_home() {
        let text = text("other", false);
        assert!(
            text.contains("10.244.0.9 redis.shop\n") && !text.contains(" redis\n"),
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
