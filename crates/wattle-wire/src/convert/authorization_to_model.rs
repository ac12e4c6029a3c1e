//! Messages to authorization.

use std::net::IpAddr;

use wattle_model::{Authorization, Condition, IpBlock, Operation, Policy, PolicyRule, Source};

use super::match_to_model::text_matches as texts;
use super::parts_to_model::object_ref;
use super::{Decoded, Reader};
use crate::proto::mesh;

pub(crate) fn authorization(reader: &mut Reader, message: mesh::Authorization) -> Decoded<Authorization> {
    Ok(Authorization {
        deny: reader.list("deny", message.deny, policy)?,
        allow: reader.list("allow", message.allow, policy)?,
    })
}

fn policy(reader: &mut Reader, message: mesh::Policy) -> Decoded<Policy> {
    Ok(Policy {
        origin: reader.at("origin", |reader| {
            object_ref(reader, message.origin.unwrap_or_default())
        })?,
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
    Ok(Condition {
        key: reader.boxed("key", message.key)?,
        values: texts(reader, "values", message.values)?,
        not_values: texts(reader, "not_values", message.not_values)?,
    })
}
