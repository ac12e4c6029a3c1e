//! Endpoints that are names, with the addresses they resolve to: workers only ever see addresses.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use wattle_model::traffic::{TlsFiles, UpstreamTls};
use wattle_model::{Endpoint, Endpoints, NamedEndpoint};

use super::Held;

/// The addresses of names, as last resolved; none for a name that never was.
#[derive(Default)]
pub(super) struct Named {
    found: HashMap<Box<str>, Vec<IpAddr>>,
}

impl Named {
    /// What a name resolves to from now on.
    pub(super) fn set(&mut self, host: &str, addresses: Vec<IpAddr>) {
        self.found.insert(host.into(), addresses);
    }

    /// Forgets names that are not wanted any more.
    pub(super) fn keep(&mut self, wanted: &BTreeSet<String>) {
        self.found.retain(|host, _| wanted.contains(&**host));
    }

    /// The endpoints as addresses; names that do not resolve stay among the names, for whoever has to say why there is no
    /// endpoint. `None` while a name has been neither resolved nor found to fail.
    pub(super) fn resolve(&self, endpoints: &Arc<Endpoints>) -> Option<Arc<Endpoints>> {
        if endpoints.names.is_empty() {
            return Some(endpoints.clone());
        }
        let mut resolved = Endpoints {
            id: endpoints.id.clone(),
            endpoints: endpoints.endpoints.clone(),
            names: Vec::new(),
        };
        for named in &endpoints.names {
            let addresses = self.found.get(&*named.host)?;
            match addresses.is_empty() {
                true => resolved.names.push(named.clone()),
                false => resolved.endpoints.extend(at(named, addresses)),
            }
        }
        resolved.endpoints.sort_by_key(|endpoint| endpoint.address);
        Some(Arc::new(resolved))
    }
}

fn at<'a>(named: &'a NamedEndpoint, addresses: &'a [IpAddr]) -> impl Iterator<Item = Endpoint> + 'a {
    let count = if named.single { 1 } else { addresses.len() };
    addresses.iter().take(count).map(|ip| Endpoint {
        address: SocketAddr::new(*ip, named.port),
        ..named.template.clone()
    })
}

/// What is read and resolved because of what is held.
impl Held {
    /// The names that endpoints are; what is known of others is forgotten.
    pub(crate) fn wanted_names(&mut self) -> BTreeSet<String> {
        let names = self.unresolved.values().flat_map(|endpoints| &endpoints.names);
        let wanted = names.map(|named| named.host.to_string()).collect();
        self.named.keep(&wanted);
        wanted
    }

    /// A name resolves to these addresses, or to none.
    pub(crate) fn resolved(&mut self, host: &str, addresses: Vec<IpAddr>) {
        self.named.set(host, addresses);
        let of = |endpoints: &&Arc<Endpoints>| endpoints.names.iter().any(|named| *named.host == *host);
        let changed: Vec<_> = self.unresolved.values().filter(of).cloned().collect();
        for endpoints in changed {
            self.replace_endpoints(endpoints);
        }
    }

    /// The files that policies name for TLS towards the outside.
    pub(crate) fn wanted_files(&self) -> Vec<TlsFiles> {
        let mut wanted: Vec<TlsFiles> = Vec::new();
        let backends = self
            .destinations
            .values()
            .flat_map(|destination| &destination.backends);
        let caller = self.caller();
        for (_, policy) in backends.filter_map(|backend| backend.seen_by(&caller)) {
            if let UpstreamTls::Origination { files, .. } = &policy.tls
                && !wanted.contains(files)
            {
                wanted.push(files.clone());
            }
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use wattle_model::{EndpointHealth, Hop, Locality};

    fn endpoints(single: bool) -> Arc<Endpoints> {
        let template = Endpoint {
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            weight: 3,
            health: EndpointHealth::Healthy,
            locality: Locality::default(),
            hop: Hop::Plaintext,
            workload: Arc::default(),
            labels: Vec::new(),
        };
        Arc::new(Endpoints {
            id: "n/db.example:5432".into(),
            endpoints: Vec::new(),
            names: vec![NamedEndpoint {
                host: "db.example".into(),
                port: 5432,
                template,
                single,
            }],
        })
    }

    fn addresses(lasts: &[u8]) -> Vec<IpAddr> {
        lasts.iter().map(|last| IpAddr::from([10, 0, 0, *last])).collect()
    }

    #[test]
    fn each_address_of_a_name_is_an_endpoint_or_only_the_first_where_that_is_said() {
        let mut named = Named::default();
        named.set("db.example", addresses(&[1, 2]));
        for (single, wanted) in [(false, 2), (true, 1)] {
            let resolved = named.resolve(&endpoints(single)).unwrap();
            assert_eq!(resolved.endpoints.len(), wanted);
            assert_eq!(resolved.endpoints[0].address, "10.0.0.1:5432".parse().unwrap());
            assert_eq!((resolved.endpoints[0].weight, resolved.names.len()), (3, 0));
        }
    }

    #[test]
    fn a_name_is_waited_for_until_it_resolves_or_fails_and_a_failed_one_is_told() {
        let mut named = Named::default();
        assert!(named.resolve(&endpoints(false)).is_none());
        named.set("db.example", Vec::new());
        let resolved = named.resolve(&endpoints(false)).unwrap();
        assert_eq!((resolved.endpoints.len(), resolved.names.len()), (0, 1));
    }
}
