//! Objects that are found by what they are attached to: one index for all kinds, whose keys are what queries read.

use std::collections::BTreeSet;
use std::sync::Arc;

use wattle_api::{Object, PolicyTarget};

use super::index::take_out;
use super::{Name, Store};
use crate::Read;
use crate::any_route::AnyRoute;

impl Store {
    pub(super) fn attach(&mut self, object: &Object) {
        for read in finding(object) {
            self.found.entry(read.clone()).or_default().insert(object.key());
            self.touched.insert(read);
        }
    }

    pub(super) fn detach(&mut self, object: &Object) {
        for read in finding(object) {
            take_out(&mut self.found, &read, &object.key());
            self.touched.insert(read);
        }
    }

    /// The objects that are found under `read`, by kind and name.
    pub(crate) fn found_under<'a>(&'a self, read: &Read) -> impl Iterator<Item = &'a Object> + use<'a> {
        let keys = self.found.get(read).into_iter().flatten();
        keys.filter_map(|key| self.objects.get(key))
            .map(|object| &**object)
    }
}

/// What an object is found under.
fn finding(object: &Object) -> BTreeSet<Read> {
    let meta = object.meta();
    let namespace = || Arc::clone(&meta.namespace);
    if let Some(route) = AnyRoute::of(object) {
        let at_server = route.servers().next().map(|_| Read::ServerRoutes(namespace()));
        return route.services().map(Read::RoutesOf).chain(at_server).collect();
    }
    let targets = |targets: &[PolicyTarget]| {
        let services = targets.iter().filter(|target| target.is_service());
        let name = |target: &PolicyTarget| Read::PoliciesOf((namespace(), target.name.as_str().into()));
        services.map(name).collect::<BTreeSet<_>>()
    };
    let one = |read: Read| BTreeSet::from([read]);
    match object {
        Object::BackendTlsPolicy(policy) => targets(&policy.spec.target_refs),
        Object::BackendTrafficPolicy(policy) => targets(&policy.spec.target_refs),
        Object::EndpointSlice(slice) => slice
            .service_name()
            .map(|name| Read::SlicesOf((namespace(), name.into())))
            .into_iter()
            .collect(),
        Object::ServiceProfile(_) => profiled(&meta.name).map(Read::PoliciesOf).into_iter().collect(),
        Object::RateLimit(_) | Object::Server(_) | Object::LocalRateLimit(_) => {
            one(Read::RateLimits(namespace()))
        }
        Object::ServerPolicy(_) | Object::ServerAuthorization(_) => one(Read::ServerPolicies(namespace())),
        Object::MeshTlsAuthentication(_) | Object::NetworkAuthentication(_) => {
            one(Read::Authentications(namespace()))
        }
        Object::Namespace(_) => one(Read::Namespace(Arc::clone(&meta.name))),
        Object::RequestAuthentication(_) => one(Read::RequestAuthentications(namespace())),
        Object::ConfigMap(map) => {
            let settings = map.spec.mesh.as_ref().map(|_| Read::MeshConfigs);
            let authorities = Read::Authorities((namespace(), Arc::clone(&meta.name)));
            let authorities = map.spec.authorities.as_ref().map(|_| authorities);
            settings.into_iter().chain(authorities).collect()
        }
        Object::EgressPolicy(_) | Object::EgressNetwork(_) => one(Read::EgressPolicies(namespace())),
        _ => BTreeSet::new(),
    }
}

/// The Service that a ServiceProfile of this name is about: `NAME.NAMESPACE.svc.DOMAIN`.
pub(crate) fn profiled(name: &str) -> Option<Name> {
    let mut labels = name.split('.');
    let (service, namespace) = (labels.next()?, labels.next()?);
    (labels.next() == Some("svc")).then(|| (namespace.into(), service.into()))
}
