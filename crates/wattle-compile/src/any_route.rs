//! A route of whatever kind, as far as all kinds are alike.

use std::cmp::Ordering;
use std::sync::Arc;

use wattle_api::{
    BackendRef, Filter, GrpcRoute, HttpRoute, Kind, Meta, Object, Origin, ParentRef, Resource, TcpRoute,
    TlsRoute,
};

use crate::Name;

/// A route.
#[derive(Clone, Copy)]
pub(crate) struct AnyRoute<'a> {
    pub(crate) kind: Kind,
    pub(crate) meta: &'a Meta,
    pub(crate) origin: &'a Origin,
    pub(crate) parents: &'a [ParentRef],
    pub(crate) spec: Spec<'a>,
}

/// What it says, by kind.
#[derive(Clone, Copy)]
pub(crate) enum Spec<'a> {
    Http(&'a HttpRoute),
    Grpc(&'a GrpcRoute),
    Tls(&'a TlsRoute),
    Tcp(&'a TcpRoute),
}

/// One rule, as far as all kinds are alike.
pub(crate) struct AnyRule<'a> {
    pub(crate) filters: &'a [Filter],
    pub(crate) backends: &'a [BackendRef],
}

impl<'a> AnyRoute<'a> {
    /// The route that `object` is, if it is one.
    pub(crate) fn of(object: &'a Object) -> Option<Self> {
        fn new<'a, S>(
            kind: Kind,
            route: &'a Resource<S>,
            parents: &'a [ParentRef],
            spec: Spec<'a>,
        ) -> Option<AnyRoute<'a>> {
            Some(AnyRoute {
                kind,
                meta: &route.meta,
                origin: &route.origin,
                parents,
                spec,
            })
        }
        let kind = object.kind();
        match object {
            Object::HttpRoute(route) | Object::LinkerdHttpRoute(route) => {
                new(kind, route, &route.spec.parent_refs, Spec::Http(&route.spec))
            }
            Object::GrpcRoute(route) => new(kind, route, &route.spec.parent_refs, Spec::Grpc(&route.spec)),
            Object::TlsRoute(route) => new(kind, route, &route.spec.parent_refs, Spec::Tls(&route.spec)),
            Object::TcpRoute(route) => new(kind, route, &route.spec.parent_refs, Spec::Tcp(&route.spec)),
            _ => None,
        }
    }

    /// 0 for the kind that wins over all others on a port (GEP-1426); Linkerd's HTTPRoute yields to its successor.
    pub(crate) fn rank(&self) -> u8 {
        match self.kind {
            Kind::GrpcRoute => 0,
            Kind::HttpRoute => 1,
            Kind::LinkerdHttpRoute => 2,
            Kind::TlsRoute => 3,
            _ => 4,
        }
    }

    /// Whether it decides about requests, not about connections.
    pub(crate) fn is_for_requests(&self) -> bool {
        matches!(self.spec, Spec::Http(_) | Spec::Grpc(_))
    }

    /// The Services it names as parents, whether they are there or not.
    pub(crate) fn services(&self) -> impl Iterator<Item = Name> + use<'a> {
        let route = *self;
        let services = route.parents.iter().filter(|parent| parent.is_service());
        services.map(move |parent| route.parent_name(parent))
    }

    /// The Servers of its own namespace that it names as parents, whether they are there or not, each with its index.
    pub(crate) fn servers(&self) -> impl Iterator<Item = (usize, &'a ParentRef)> + use<'a> {
        let own = Arc::clone(&self.meta.namespace);
        let parents = self.parents.iter().enumerate();
        parents.filter(move |(_, parent)| {
            parent.is_server() && parent.namespace.as_deref().is_none_or(|at| *at == *own)
        })
    }

    /// The Service that `parent` names.
    pub(crate) fn parent_name(&self, parent: &ParentRef) -> Name {
        let namespace = parent
            .namespace
            .as_deref()
            .map_or_else(|| Arc::clone(&self.meta.namespace), Arc::from);
        (namespace, parent.name.as_str().into())
    }

    /// True when one of its parents is this port of this Service.
    pub(crate) fn attaches(&self, parent: &Name, port: &wattle_api::ServicePort) -> bool {
        self.parents.iter().any(|written| {
            written.is_service() && self.parent_name(written) == *parent && has_port(written, port)
        })
    }

    /// Whether a rule without backends goes on to the Service that was dialled: so it is with Linkerd, which alone calls
    /// the core group `core`. The Gateway API answers with 500.
    pub(crate) fn goes_on_to(&self, parent: &Name) -> bool {
        let linkerds = |written: &ParentRef| written.is_linkerds() && self.parent_name(written) == *parent;
        self.kind == Kind::LinkerdHttpRoute || self.parents.iter().any(linkerds)
    }

    /// Its rules in order.
    pub(crate) fn rules(&self) -> Vec<AnyRule<'a>> {
        let stream = |rule: &'a wattle_api::StreamRule| {
            vec![AnyRule {
                filters: &[],
                backends: &rule.backend_refs,
            }]
        };
        match self.spec {
            Spec::Http(spec) => spec
                .rules
                .iter()
                .map(|rule| AnyRule {
                    filters: &rule.filters,
                    backends: &rule.backend_refs,
                })
                .collect(),
            Spec::Grpc(spec) => spec
                .rules
                .iter()
                .map(|rule| AnyRule {
                    filters: &rule.filters,
                    backends: &rule.backend_refs,
                })
                .collect(),
            Spec::Tls(spec) => stream(&spec.rule),
            Spec::Tcp(spec) => stream(&spec.rule),
        }
    }
}

/// True when `written` is for this port, by number, by name, or because it names none.
pub(crate) fn has_port(written: &ParentRef, port: &wattle_api::ServicePort) -> bool {
    written.port.is_none_or(|number| number == port.port)
        && written
            .section_name
            .as_ref()
            .is_none_or(|name| port.name.as_ref() == Some(name))
}

/// How old an object is: the older sorts first, one without a timestamp last, then namespace and name decide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Age {
    unknown: bool,
    created: Option<i128>,
    namespace: Arc<str>,
    name: Arc<str>,
}

impl Age {
    pub(crate) fn of(meta: &Meta) -> Self {
        let created = meta.creation_timestamp.map(|at| at.as_nanosecond());
        Self {
            unknown: created.is_none(),
            created,
            namespace: Arc::clone(&meta.namespace),
            name: Arc::clone(&meta.name),
        }
    }
}

/// Orders objects by age.
pub(crate) fn older(a: &Meta, b: &Meta) -> Ordering {
    Age::of(a).cmp(&Age::of(b))
}
