//! Messages to authorization.

use std::net::IpAddr;
use std::sync::Arc;

use wattle_model::{
    Attribute, Authorization, Condition, Gate, GateRoute, IpBlock, ObjectRef, Operation, Policy, PolicyRule,
    Source,
};

use super::match_to_model::{request_match, text_matches as texts};
use super::parts_to_model::{object_ref, rule_ref};
use super::{Decoded, Reader, external_to_model};
use crate::proto::mesh;

pub(crate) fn authorization(reader: &mut Reader, message: mesh::Authorization) -> Decoded<Authorization> {
    let dry_run = message.dry_run.map(|message| *message);
    if dry_run.as_ref().is_some_and(|tried| tried.dry_run.is_some()) {
        return Err(reader.error("dry_run has a dry_run of its own"));
    }
    Ok(Authorization {
        deny: reader.list("deny", message.deny, policy)?,
        allow: reader.list("allow", message.allow, policy)?,
        external: reader.list("external", message.external, external_to_model::external)?,
        gates: reader.list("gates", message.gates, gate)?,
        audit: reader.list("audit", message.audit, policy)?,
        dry_run: reader.optional("dry_run", dry_run, authorization)?.map(Arc::new),
    })
}

fn gate(reader: &mut Reader, message: mesh::Gate) -> Decoded<Gate> {
    Ok(Gate {
        origin: origin(reader, message.origin)?,
        port: message.port.map(|port| reader.port("port", port)).transpose()?,
        allow: reader.list("allow", message.allow, policy)?,
        routes: reader.list("routes", message.routes, gate_route)?,
        audit: message.audit,
    })
}

fn gate_route(reader: &mut Reader, message: mesh::GateRoute) -> Decoded<GateRoute> {
    Ok(GateRoute {
        origin: reader.required("origin", message.origin, rule_ref)?,
        matches: reader.required("matches", message.matches, request_match)?,
        allow: reader.list("allow", message.allow, policy)?,
    })
}

fn origin(reader: &mut Reader, message: Option<mesh::ObjectRef>) -> Decoded<ObjectRef> {
    reader.at("origin", |reader| object_ref(reader, message.unwrap_or_default()))
}

pub(super) fn policy(reader: &mut Reader, message: mesh::Policy) -> Decoded<Policy> {
    Ok(Policy {
        origin: origin(reader, message.origin)?,
        rules: reader.list("rules", message.rules, rule)?,
    })
}

fn rule(reader: &mut Reader, message: mesh::PolicyRule) -> Decoded<PolicyRule> {
    Ok(PolicyRule {
        from: reader.list("from", message.from, source)?,
        to: reader.list("to", message.to, operation)?,
        when: reader.list("when", message.when, condition)?,
        unsupported: reader.optional_text("unsupported", message.unsupported)?,
    })
}

pub(super) fn blocks(
    reader: &mut Reader,
    field: &'static str,
    items: Vec<mesh::IpBlock>,
) -> Decoded<Vec<IpBlock>> {
    reader.list(field, items, |reader, message| block(reader, &message))
}

fn block(reader: &Reader, message: &mesh::IpBlock) -> Decoded<IpBlock> {
    let (address, most) = if let Ok(octets) = <[u8; 4]>::try_from(message.address.as_slice()) {
        (IpAddr::from(octets), 32)
    } else if let Ok(octets) = <[u8; 16]>::try_from(message.address.as_slice()) {
        (IpAddr::from(octets), 128)
    } else {
        return Err(reader.error(format!(
            "address of {} bytes, 4 or 16 expected",
            message.address.len()
        )));
    };
    match u8::try_from(message.prefix_len) {
        Ok(prefix_len) if prefix_len <= most => Ok(IpBlock { address, prefix_len }),
        _ => Err(reader.error(format!(
            "prefix of {} bits, at most {most} expected",
            message.prefix_len
        ))),
    }
}

fn source(reader: &mut Reader, message: mesh::Source) -> Decoded<Source> {
    Ok(Source {
        principals: texts(reader, "principals", message.principals)?,
        not_principals: texts(reader, "not_principals", message.not_principals)?,
        namespaces: texts(reader, "namespaces", message.namespaces)?,
        not_namespaces: texts(reader, "not_namespaces", message.not_namespaces)?,
        service_accounts: texts(reader, "service_accounts", message.service_accounts)?,
        not_service_accounts: texts(reader, "not_service_accounts", message.not_service_accounts)?,
        ip_blocks: blocks(reader, "ip_blocks", message.ip_blocks)?,
        not_ip_blocks: blocks(reader, "not_ip_blocks", message.not_ip_blocks)?,
        trust_domains: texts(reader, "trust_domains", message.trust_domains)?,
        not_trust_domains: texts(reader, "not_trust_domains", message.not_trust_domains)?,
        request_principals: texts(reader, "request_principals", message.request_principals)?,
        not_request_principals: texts(reader, "not_request_principals", message.not_request_principals)?,
        remote_ip_blocks: blocks(reader, "remote_ip_blocks", message.remote_ip_blocks)?,
        not_remote_ip_blocks: blocks(reader, "not_remote_ip_blocks", message.not_remote_ip_blocks)?,
    })
}

fn operation(reader: &mut Reader, message: mesh::Operation) -> Decoded<Operation> {
    Ok(Operation {
        hosts: texts(reader, "hosts", message.hosts)?,
        not_hosts: texts(reader, "not_hosts", message.not_hosts)?,
        ports: reader.ports("ports", message.ports)?,
        not_ports: reader.ports("not_ports", message.not_ports)?,
        methods: texts(reader, "methods", message.methods)?,
        not_methods: texts(reader, "not_methods", message.not_methods)?,
        paths: texts(reader, "paths", message.paths)?,
        not_paths: texts(reader, "not_paths", message.not_paths)?,
    })
}

fn condition(reader: &mut Reader, message: mesh::Condition) -> Decoded<Condition> {
    let condition = Condition {
        attribute: Attribute::parse(&reader.boxed("key", message.key)?),
        values: texts(reader, "values", message.values)?,
        not_values: texts(reader, "not_values", message.not_values)?,
        blocks: blocks(reader, "blocks", message.blocks)?,
        not_blocks: blocks(reader, "not_blocks", message.not_blocks)?,
    };
    // What is not compared would hold for everybody.
    let (texts, ranges) = (
        condition.values.len() + condition.not_values.len(),
        condition.blocks.len() + condition.not_blocks.len(),
    );
    match (condition.attribute.is_address(), texts, ranges) {
        (true, 0, _) | (false, _, 0) => Ok(condition),
        (true, ..) => Err(reader.error("texts for an address, ranges expected")),
        (false, ..) => Err(reader.error("ranges for what is no address")),
    }
}
