//! Authorization to messages.

use std::net::IpAddr;

use wattle_model::{
    Authorization, Condition, Gate, GateRoute, IpBlock, Operation, Policy, PolicyRule, Source,
};

use super::external_to_mesh;
use super::match_to_mesh::{request_match, text_matches as texts};
use super::parts_to_mesh::{object_ref, ports, rule_ref};
use crate::proto::mesh;

pub(crate) fn authorization(value: &Authorization) -> mesh::Authorization {
    let dry_run = value.dry_run.as_deref();
    mesh::Authorization {
        deny: policies(&value.deny),
        allow: policies(&value.allow),
        external: value.external.iter().map(external_to_mesh::external).collect(),
        gates: value.gates.iter().map(gate).collect(),
        audit: policies(&value.audit),
        dry_run: dry_run.map(|tried| Box::new(authorization(tried))),
    }
}

fn gate(value: &Gate) -> mesh::Gate {
    let route = |value: &GateRoute| mesh::GateRoute {
        origin: Some(rule_ref(&value.origin)),
        matches: Some(request_match(&value.matches)),
        allow: policies(&value.allow),
    };
    mesh::Gate {
        origin: Some(object_ref(&value.origin)),
        port: value.port.map(Into::into),
        allow: policies(&value.allow),
        routes: value.routes.iter().map(route).collect(),
        audit: value.audit,
    }
}

pub(super) fn policies(values: &[Policy]) -> Vec<mesh::Policy> {
    values.iter().map(policy).collect()
}

fn policy(value: &Policy) -> mesh::Policy {
    mesh::Policy {
        origin: Some(object_ref(&value.origin)),
        rules: value.rules.iter().map(rule).collect(),
    }
}

fn rule(value: &PolicyRule) -> mesh::PolicyRule {
    mesh::PolicyRule {
        from: value.from.iter().map(source).collect(),
        to: value.to.iter().map(operation).collect(),
        when: value.when.iter().map(condition).collect(),
        unsupported: value.unsupported.as_ref().map(ToString::to_string),
    }
}

pub(super) fn blocks(values: &[IpBlock]) -> Vec<mesh::IpBlock> {
    values.iter().map(block).collect()
}

fn block(value: &IpBlock) -> mesh::IpBlock {
    let address = match value.address {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    mesh::IpBlock {
        address,
        prefix_len: value.prefix_len.into(),
    }
}

fn source(value: &Source) -> mesh::Source {
    mesh::Source {
        principals: texts(&value.principals),
        not_principals: texts(&value.not_principals),
        namespaces: texts(&value.namespaces),
        not_namespaces: texts(&value.not_namespaces),
        service_accounts: texts(&value.service_accounts),
        not_service_accounts: texts(&value.not_service_accounts),
        ip_blocks: blocks(&value.ip_blocks),
        not_ip_blocks: blocks(&value.not_ip_blocks),
        trust_domains: texts(&value.trust_domains),
        not_trust_domains: texts(&value.not_trust_domains),
        request_principals: texts(&value.request_principals),
        not_request_principals: texts(&value.not_request_principals),
        remote_ip_blocks: blocks(&value.remote_ip_blocks),
        not_remote_ip_blocks: blocks(&value.not_remote_ip_blocks),
    }
}

fn operation(value: &Operation) -> mesh::Operation {
    mesh::Operation {
        hosts: texts(&value.hosts),
        not_hosts: texts(&value.not_hosts),
        ports: ports(&value.ports),
        not_ports: ports(&value.not_ports),
        methods: texts(&value.methods),
        not_methods: texts(&value.not_methods),
        paths: texts(&value.paths),
        not_paths: texts(&value.not_paths),
    }
}

fn condition(value: &Condition) -> mesh::Condition {
    mesh::Condition {
        key: value.attribute.to_string(),
        values: texts(&value.values),
        not_values: texts(&value.not_values),
        blocks: blocks(&value.blocks),
        not_blocks: blocks(&value.not_blocks),
    }
}
