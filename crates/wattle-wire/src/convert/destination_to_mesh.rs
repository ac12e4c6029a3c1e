//! Destinations to messages.

use wattle_model::{
    Access, Backend, CallerBackend, CallerScope, ConnectionMatch, ConnectionRoute, Destination, SeenBackend,
    WeightedBackend,
};

use super::authorization_to_mesh::blocks;
use super::filter_to_mesh::filters_always;
use super::match_to_mesh::host_matches;
use super::parts_to_mesh::{labels, object_ref, protocol, rule_ref, service_port};
use super::{route_to_mesh, traffic_to_mesh};
use crate::proto::mesh;

pub(crate) fn destination(value: &Destination) -> mesh::Destination {
    mesh::Destination {
        name: value.name.to_string(),
        service: value.service.as_ref().map(service_port),
        protocol: protocol(value.protocol),
        scopes: value.scopes.iter().map(scope).collect(),
        rules: value.routes.rules().iter().map(route_to_mesh::rule).collect(),
        connections: value.connections.iter().map(connection).collect(),
        backends: value.backends.iter().map(backend).collect(),
        default_backend: value.default_backend,
        outside: value.outside,
    }
}

fn scope(value: &CallerScope) -> mesh::CallerScope {
    use mesh::caller_scope::Access as Message;
    mesh::CallerScope {
        labels: labels(&value.labels),
        origin: Some(object_ref(&value.origin)),
        access: Some(match value.access {
            Access::Full => Message::Full(true),
            Access::PassThrough => Message::PassThrough(true),
            Access::Refused(reason) => Message::Refused(reason.id().to_owned()),
        }),
    }
}

fn connection(value: &ConnectionRoute) -> mesh::ConnectionRoute {
    mesh::ConnectionRoute {
        origin: Some(rule_ref(&value.origin)),
        matches: Some(connection_match(&value.matches)),
        backends: value.backends.iter().map(weighted).collect(),
    }
}

fn connection_match(value: &ConnectionMatch) -> mesh::ConnectionMatch {
    mesh::ConnectionMatch {
        server_names: host_matches(&value.server_names),
        destinations: blocks(&value.destinations),
        caller_labels: labels(&value.caller_labels),
    }
}

pub(super) fn weighted(value: &WeightedBackend) -> mesh::WeightedBackend {
    mesh::WeightedBackend {
        backend: value.backend,
        written: value.written.to_string(),
        weight: value.weight,
        filters: value.filters.as_deref().map(filters_always),
    }
}

fn backend(value: &Backend) -> mesh::Backend {
    mesh::Backend {
        id: value.id.to_string(),
        service: value.service.as_ref().map(service_port),
        subset: value.subset.to_string(),
        protocol: protocol(value.protocol),
        policy: Some(traffic_to_mesh::policy(&value.policy)),
        verifies_host: value.verifies_host,
        callers: value.callers.iter().map(caller).collect(),
        by_name: value.by_name.as_ref().map(|by_name| mesh::ByName {
            hosts: host_matches(&by_name.hosts),
            port: by_name.port.into(),
        }),
    }
}

fn caller(value: &CallerBackend) -> mesh::CallerBackend {
    let seen = |seen: &SeenBackend| mesh::SeenBackend {
        id: seen.id.to_string(),
        policy: Some(traffic_to_mesh::policy(&seen.policy)),
    };
    mesh::CallerBackend {
        labels: labels(&value.labels),
        seen: value.seen.as_ref().map(seen),
    }
}
