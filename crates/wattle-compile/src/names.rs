//! The names that workloads of a namespace can resolve, and where they lead.
//!
//! | what is named | answer |
//! |---|---|
//! | a Service, by `svc.ns.svc.DOMAIN`, `svc.ns.svc`, `svc.ns`, and `svc` at home | its virtual address |
//! | a headless Service, by the same names | the addresses of the healthy workloads behind it |
//! | one of these workloads, by its own name before those of the Service | its address |
//! | an ExternalName Service, by the same names | an alias of the name it stands for |
//! | a host of a ServiceEntry, `*.` patterns included | its written addresses, else its virtual one |
//!
//! Which names outside callers may ask for is what they may call there ([`egress::names`](crate::egress::names)).
//!
//! A host of a ServiceEntry that has neither (`resolution: NONE`, blocks of addresses, a pattern without endpoints) is
//! whatever the resolvers outside say it is, and is not named here.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use wattle_api::istio::{Host, ServiceEntry};
use wattle_api::{ClusterIp, Exposure, Resource, Service};
use wattle_model::{EndpointHealth, HostMatch, NameTarget, NamedHost, Names};

use crate::cache::{Compiled, ResourceName};
use crate::egress;
use crate::istio::{frontend, owner};
use crate::store::Store;
use crate::view::View;
use crate::{Mesh, Name, Read, host};

impl Mesh {
    /// The names that workloads of a namespace can resolve; every namespace has some, be there workloads or not.
    pub fn names(&mut self, namespace: &str) -> Arc<Names> {
        match self.query(&ResourceName::Names(namespace.into())) {
            Compiled::Names(found) => found,
            _ => Arc::default(),
        }
    }
}

/// Adds what depends on all Services and ServiceEntries to what has been touched.
pub(crate) fn touched(mut touched: BTreeSet<Read>) -> BTreeSet<Read> {
    let concerns = |read: &Read| matches!(read, Read::Service(_) | Read::ServiceEntries(_));
    if touched.iter().any(concerns) {
        touched.insert(Read::Names);
    }
    touched
}

/// Can a host of a ServiceEntry have addresses of its own? A pattern can if what is behind it does not depend on the
/// name that is asked for.
pub(crate) fn is_addressed(host: &Host, entry: &ServiceEntry) -> bool {
    match host {
        Host::Name(_) => true,
        Host::Below(_) => {
            !(entry.endpoints.is_empty() && entry.addresses.is_empty()) || entry.workload_selector.is_some()
        }
        Host::Any | Host::Address(_) => false,
    }
}

/// The names that hold in `namespace`.
pub(crate) fn names(namespace: &Arc<str>, view: &View<'_>) -> Names {
    let store = view.named();
    let mut table = Table {
        from: namespace,
        domain: &view.settings.cluster_domain,
        hosts: BTreeMap::new(),
    };
    for (name, service) in &store.services {
        table.add_service(name, &service.spec, view);
    }
    let (mut nearest, mut known, mut registered) = (HashMap::new(), HashSet::new(), BTreeSet::new());
    let near = |entry: &Resource<ServiceEntry>| owner::nearness(&entry.meta.namespace, namespace, view);
    let entries = store.istio.service_entries.values();
    let mut entries: Vec<_> = entries
        .filter(|entry| frontend::is_visible(entry, namespace))
        .collect();
    entries.sort_by_key(|entry| near(entry));
    for entry in entries {
        for written in &entry.spec.hosts {
            let text: Arc<str> = written.to_string().into();
            let is_service = host::service(&text, namespace, view.settings)
                .is_some_and(|name| is_taken((&text, &name), entry, namespace, view));
            let is_nearest = *nearest.entry(Arc::clone(&text)).or_insert(near(entry)) == near(entry);
            if is_service || !is_nearest {
                continue;
            }
            // The first of the nearest that callers see is what the host is, as for its destinations.
            let is_first = is_addressed(written, &entry.spec) && known.insert(Arc::clone(&text));
            if !(is_first && table.add_entry(entry, &text, store)) {
                registered.insert(text);
            }
        }
    }
    let scopes = egress::names::scopes(namespace, view);
    registered.retain(|host| !scopes.is_empty() && !table.hosts.contains_key(&**host));
    Names {
        namespace: Arc::clone(namespace),
        hosts: distinct(table.hosts),
        registered: registered.iter().map(|host| HostMatch::parse(host)).collect(),
        scopes,
    }
}

/// Is a host the full name of a Service that is there, or a short one that a stranger may not take from it?
fn is_taken(
    (text, service): (&str, &Name),
    entry: &Resource<ServiceEntry>,
    from: &str,
    view: &View<'_>,
) -> bool {
    view.named().services.contains_key(service)
        && (*host::qualified(service, view.settings) == *text
            || !owner::speaks_for(&entry.meta.namespace, &service.0, from, view))
}

/// Hosts by their full names.
struct Table<'a> {
    from: &'a str,
    domain: &'a str,
    hosts: BTreeMap<Box<str>, NamedHost>,
}

impl Table<'_> {
    fn add_service(&mut self, name: &Name, service: &Service, view: &View<'_>) {
        let target = match service.external_name.as_deref() {
            Some(external) if service.exposure == Exposure::ExternalName => outside(external),
            _ if service.cluster_ip == ClusterIp::Headless => self.add_headless(name, service, view),
            _ => {
                let address = view.named().address_of(name, service);
                NameTarget::Addresses(address.into_iter().collect())
            }
        };
        self.add(&name.1, &name.0, target);
    }

    /// Names the workloads behind a headless Service, and gives their addresses for its own name.
    fn add_headless(&mut self, name: &Name, service: &Service, view: &View<'_>) -> NameTarget {
        let unready = service.traffic.publish_not_ready_addresses;
        let mut addresses = BTreeSet::new();
        for instance in view.selected(&name.0, &service.selector) {
            let Some(address) = instance
                .address
                .filter(|_| unready || instance.health == EndpointHealth::Healthy)
            else {
                continue;
            };
            addresses.insert(address);
            let own = format!("{}.{}", instance.workload.instance, name.1);
            self.add(&own, &name.0, NameTarget::Addresses(vec![address]));
        }
        NameTarget::Addresses(addresses.into_iter().collect())
    }

    fn add(&mut self, labels: &str, namespace: &str, target: NameTarget) {
        let name: Box<str> = format!("{labels}.{namespace}.svc.{}", self.domain).into();
        let mut aliases = vec![
            format!("{labels}.{namespace}.svc").into(),
            format!("{labels}.{namespace}").into(),
        ];
        if namespace == self.from {
            aliases.push(labels.into());
        }
        self.hosts.insert(
            name.clone(),
            NamedHost {
                name,
                aliases,
                target,
            },
        );
    }

    /// Says whether the host has addresses.
    fn add_entry(&mut self, entry: &Resource<ServiceEntry>, host: &Arc<str>, store: &Store) -> bool {
        let name: Box<str> = host.to_ascii_lowercase().into();
        let key = (Arc::clone(&entry.meta.namespace), Arc::clone(host));
        let Some(addresses) = entry_addresses(&entry.spec, &key, store) else {
            return false;
        };
        self.hosts.entry(name.clone()).or_insert(NamedHost {
            name,
            aliases: Vec::new(),
            target: NameTarget::Addresses(addresses),
        });
        true
    }
}

/// What an ExternalName stands for; some write an address there.
fn outside(external: &str) -> NameTarget {
    let external = external.strip_suffix('.').unwrap_or(external);
    match external.parse::<IpAddr>() {
        Ok(address) => NameTarget::Addresses(vec![address]),
        Err(_) => NameTarget::Alias(external.to_ascii_lowercase().into()),
    }
}

fn entry_addresses(entry: &ServiceEntry, key: &Name, store: &Store) -> Option<Vec<IpAddr>> {
    let single = entry
        .addresses
        .iter()
        .filter(|block| block.prefix_len() == block.max_prefix_len());
    let written: Vec<_> = single.map(|block| block.addr()).collect();
    if !written.is_empty() {
        return Some(written);
    }
    store.virtual_ips.get(key).map(|address| vec![*address])
}

/// The hosts, where a short form that is somebody's name or an earlier host's short form is left out.
fn distinct(hosts: BTreeMap<Box<str>, NamedHost>) -> Vec<NamedHost> {
    let mut taken: HashSet<Box<str>> = hosts.keys().cloned().collect();
    let one = |mut host: NamedHost| {
        host.aliases.retain(|alias| taken.insert(alias.clone()));
        host
    };
    hosts.into_values().map(one).collect()
}
