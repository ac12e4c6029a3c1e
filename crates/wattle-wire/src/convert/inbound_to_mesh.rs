//! The inbound side of a workload to messages.

use std::sync::Arc;

use wattle_model::{
    Allowance, DescriptorValue, GlobalLimit, Inbound, InboundPort, MtlsMode, PathNormalization, RateLimit,
};

use super::match_to_mesh::{request_match, text_matches};
use super::parts_to_mesh::{labels, locality, nanos, object_ref, ports, protocol, service_port, workload};
use super::{authorization_to_mesh, external_to_mesh, traffic_to_mesh};
use crate::proto::mesh;

pub(crate) fn inbound(value: &Inbound) -> mesh::Inbound {
    mesh::Inbound {
        name: value.name.to_string(),
        workload: Some(workload(&value.workload)),
        ports: value.ports.iter().map(inbound_port).collect(),
        mtls: mtls(value.mtls),
        mtls_origin: value.mtls_origin.as_ref().map(object_ref),
        authorization: Some(authorization_to_mesh::authorization(&value.authorization)),
        paths: paths(value.paths),
        rate_limits: value.rate_limits.iter().map(rate_limit).collect(),
        tokens: value.tokens.iter().map(external_to_mesh::token_rule).collect(),
        labels: labels(&value.labels),
        locality: locality(&value.locality),
        limits: traffic_to_mesh::limits(&value.limits),
    }
}

fn inbound_port(value: &InboundPort) -> mesh::InboundPort {
    mesh::InboundPort {
        port: value.port.into(),
        protocol: protocol(value.protocol),
        mtls: mtls(value.mtls),
        mtls_origin: value.mtls_origin.as_ref().map(object_ref),
        service: value.service.as_ref().map(service_port),
        target: value.target.map(|target| target.to_string()),
    }
}

fn mtls(mode: MtlsMode) -> i32 {
    match mode {
        MtlsMode::Permissive => mesh::MtlsMode::Permissive as i32,
        MtlsMode::Strict => mesh::MtlsMode::Strict as i32,
        MtlsMode::Disable => mesh::MtlsMode::Disable as i32,
    }
}

fn paths(form: PathNormalization) -> i32 {
    match form {
        PathNormalization::AsSent => mesh::PathNormalization::AsSent as i32,
        PathNormalization::Base => mesh::PathNormalization::Base as i32,
        PathNormalization::MergeSlashes => mesh::PathNormalization::MergeSlashes as i32,
        PathNormalization::DecodeAndMergeSlashes => mesh::PathNormalization::DecodeAndMergeSlashes as i32,
    }
}

fn rate_limit(value: &RateLimit) -> mesh::RateLimit {
    mesh::RateLimit {
        origin: Some(object_ref(&value.origin)),
        ports: ports(&value.ports),
        matches: value.matches.iter().map(request_match).collect(),
        clients: text_matches(&value.clients),
        except: text_matches(&value.except),
        allowance: Some(allowance(&value.allowance)),
    }
}

fn allowance(value: &Allowance) -> mesh::rate_limit::Allowance {
    use mesh::rate_limit::Allowance as Message;
    match value {
        Allowance::Local {
            requests,
            per,
            burst,
            by_identity,
        } => Message::Local(mesh::LocalLimit {
            requests: *requests,
            per_nanos: nanos(*per),
            burst: *burst,
            by_identity: *by_identity,
        }),
        Allowance::Global(limit) => Message::Global(global(limit)),
    }
}

fn global(value: &GlobalLimit) -> mesh::GlobalLimit {
    mesh::GlobalLimit {
        service: value.service.to_string(),
        domain: value.domain.to_string(),
        entries: value.entries.iter().map(entry).collect(),
        timeout_nanos: nanos(value.timeout),
        allow_on_failure: value.allow_on_failure,
    }
}

fn entry((key, value): &(Arc<str>, DescriptorValue)) -> mesh::DescriptorEntry {
    use mesh::descriptor_entry::Value;
    mesh::DescriptorEntry {
        key: key.to_string(),
        value: Some(match value {
            DescriptorValue::Fixed(text) => Value::Fixed(text.to_string()),
            DescriptorValue::Header(name) => Value::Header(name.to_string()),
            DescriptorValue::Principal => Value::Principal(true),
            DescriptorValue::Path => Value::Path(true),
            DescriptorValue::Method => Value::Method(true),
        }),
    }
}
