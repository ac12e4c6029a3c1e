//! Messages to destinations. Refuses what makes no sense.

use std::sync::Arc;

use wattle_model::{
    Access, Backend, ByName, CallerBackend, CallerScope, ConnectionMatch, ConnectionRoute, Destination,
    RouteTable, SeenBackend, WeightedBackend,
};

use super::authorization_to_model::blocks;
use super::filter_to_model::backend_filters;
use super::match_to_model::host_matches;
use super::parts_to_model::{backend_index, labels, object_ref, protocol, reason, rule_ref, service_port};
use super::{Decoded, Reader, route_to_model, traffic_to_model};
use crate::proto::mesh;

pub(crate) fn destination(reader: &mut Reader, message: mesh::Destination) -> Decoded<Destination> {
    let backends = reader.list("backends", message.backends, backend)?;
    let count = backends.len();
    let rules = reader.list("rules", message.rules, |reader, rule| {
        route_to_model::rule(reader, rule, count)
    })?;
    Ok(Destination {
        name: reader.text("name", message.name)?,
        service: reader.optional("service", message.service, service_port)?,
        outside: message.outside,
        protocol: reader.at("protocol", |reader| protocol(reader, message.protocol))?,
        scopes: reader.list("scopes", message.scopes, scope)?,
        routes: RouteTable::new(rules),
        connections: reader.list("connections", message.connections, |reader, route| {
            connection(reader, route, count)
        })?,
        backends,
        default_backend: backend_index(reader, "default_backend", message.default_backend, count)?,
    })
}

fn scope(reader: &mut Reader, message: mesh::CallerScope) -> Decoded<CallerScope> {
    use mesh::caller_scope::Access as Message;
    Ok(CallerScope {
        labels: labels(reader, "labels", message.labels)?,
        origin: reader.at("origin", |reader| {
            object_ref(reader, message.origin.unwrap_or_default())
        })?,
        access: match reader.present("access", message.access)? {
            Message::Full(_) => Access::Full,
            Message::PassThrough(_) => Access::PassThrough,
            Message::Refused(id) => Access::Refused(reader.at("refused", |reader| reason(reader, &id))?),
        },
    })
}

fn connection(
    reader: &mut Reader,
    message: mesh::ConnectionRoute,
    backends: usize,
) -> Decoded<ConnectionRoute> {
    Ok(ConnectionRoute {
        origin: reader.required("origin", message.origin, rule_ref)?,
        // Without its matches it would carry every connection: absent is refused, empty is meant.
        matches: reader.required("matches", message.matches, connection_match)?,
        backends: weighted_backends(reader, "backends", message.backends, backends)?,
    })
}

fn connection_match(reader: &mut Reader, message: mesh::ConnectionMatch) -> Decoded<ConnectionMatch> {
    Ok(ConnectionMatch {
        server_names: host_matches(reader, "server_names", message.server_names)?,
        destinations: blocks(reader, "destinations", message.destinations)?,
        caller_labels: labels(reader, "caller_labels", message.caller_labels)?,
    })
}

pub(super) fn weighted_backends(
    reader: &mut Reader,
    field: &'static str,
    messages: Vec<mesh::WeightedBackend>,
    backends: usize,
) -> Decoded<Vec<WeightedBackend>> {
    reader.list(field, messages, |reader, message| {
        let filters = reader.optional("filters", message.filters, |reader, filters| {
            backend_filters(reader, filters, backends)
        })?;
        Ok(WeightedBackend {
            backend: backend_index(reader, "backend", message.backend, backends)?,
            written: reader.boxed("written", message.written)?,
            weight: message.weight,
            filters: filters.map(Arc::new),
        })
    })
}

fn backend(reader: &mut Reader, message: mesh::Backend) -> Decoded<Backend> {
    Ok(Backend {
        id: reader.text("id", message.id)?,
        service: reader.optional("service", message.service, service_port)?,
        subset: reader.text("subset", message.subset)?,
        protocol: reader.at("protocol", |reader| protocol(reader, message.protocol))?,
        // Without its policy it would be reached as its endpoints ask, by any number of requests.
        policy: Arc::new(reader.required("policy", message.policy, traffic_to_model::policy)?),
        verifies_host: message.verifies_host,
        callers: reader.list("callers", message.callers, caller)?,
        by_name: reader.optional("by_name", message.by_name, by_name)?,
    })
}

fn by_name(reader: &mut Reader, message: mesh::ByName) -> Decoded<Arc<ByName>> {
    Ok(Arc::new(ByName {
        hosts: host_matches(reader, "hosts", message.hosts)?,
        port: reader.port("port", message.port)?,
    }))
}

fn caller(reader: &mut Reader, message: mesh::CallerBackend) -> Decoded<CallerBackend> {
    Ok(CallerBackend {
        labels: labels(reader, "labels", message.labels)?,
        seen: reader.optional("seen", message.seen, |reader, seen| {
            Ok(SeenBackend {
                id: reader.text("id", seen.id)?,
                policy: Arc::new(reader.required("policy", seen.policy, traffic_to_model::policy)?),
            })
        })?,
    })
}
