//! Messages to the inbound side of a workload. Refuses what makes no sense.

use std::sync::Arc;
use std::time::Duration;

use wattle_model::{
    Allowance, DescriptorValue, GlobalLimit, Inbound, InboundPort, MtlsMode, PathNormalization, RateLimit,
};

use super::endpoint_to_model::address;
use super::match_to_model::{request_match, text_matches};
use super::parts_to_model::{header_name, labels, locality, object_ref, protocol, service_port, workload};
use super::{Decoded, Reader, authorization_to_model, external_to_model, traffic_to_model};
use crate::proto::mesh;

/// Longest time for the answer of a service that counts.
const MAX_ANSWER_TIME: Duration = Duration::from_secs(10);

pub(crate) fn inbound(reader: &mut Reader, message: mesh::Inbound) -> Decoded<Inbound> {
    Ok(Inbound {
        name: reader.text("name", message.name)?,
        workload: workload(reader, message.workload)?,
        ports: reader.list("ports", message.ports, inbound_port)?,
        mtls: reader.at("mtls", |reader| mtls(reader, message.mtls))?,
        mtls_origin: reader.optional("mtls_origin", message.mtls_origin, object_ref)?,
        // An Inbound without its authorization would allow everybody: absent is refused, empty is meant.
        authorization: reader.required(
            "authorization",
            message.authorization,
            authorization_to_model::authorization,
        )?,
        paths: reader.at("paths", |reader| paths(reader, message.paths))?,
        rate_limits: reader.list("rate_limits", message.rate_limits, rate_limit)?,
        tokens: reader.list("tokens", message.tokens, external_to_model::token_rule)?,
        labels: labels(reader, "labels", message.labels)?,
        locality: locality(reader, message.locality)?,
        limits: traffic_to_model::limits(reader, message.limits)?,
    })
}

fn inbound_port(reader: &mut Reader, message: mesh::InboundPort) -> Decoded<InboundPort> {
    Ok(InboundPort {
        port: reader.port("port", message.port)?,
        protocol: reader.at("protocol", |reader| protocol(reader, message.protocol))?,
        mtls: reader.at("mtls", |reader| mtls(reader, message.mtls))?,
        mtls_origin: reader.optional("mtls_origin", message.mtls_origin, object_ref)?,
        service: reader.optional("service", message.service, service_port)?,
        target: message
            .target
            .map(|target| address(reader, "target", "ip:port", &target))
            .transpose()?,
    })
}

fn mtls(reader: &mut Reader, mode: i32) -> Decoded<MtlsMode> {
    match mesh::MtlsMode::try_from(mode) {
        Ok(mesh::MtlsMode::Permissive) => Ok(MtlsMode::Permissive),
        Ok(mesh::MtlsMode::Strict) => Ok(MtlsMode::Strict),
        Ok(mesh::MtlsMode::Disable) => Ok(MtlsMode::Disable),
        Err(_) => Err(reader.error(format!("mode {mode} is not known"))),
    }
}

fn paths(reader: &mut Reader, form: i32) -> Decoded<PathNormalization> {
    match mesh::PathNormalization::try_from(form) {
        Ok(mesh::PathNormalization::AsSent) => Ok(PathNormalization::AsSent),
        Ok(mesh::PathNormalization::Base) => Ok(PathNormalization::Base),
        Ok(mesh::PathNormalization::MergeSlashes) => Ok(PathNormalization::MergeSlashes),
        Ok(mesh::PathNormalization::DecodeAndMergeSlashes) => Ok(PathNormalization::DecodeAndMergeSlashes),
        Err(_) => Err(reader.error(format!("form {form} of paths is not known"))),
    }
}

fn rate_limit(reader: &mut Reader, message: mesh::RateLimit) -> Decoded<RateLimit> {
    use mesh::rate_limit::Allowance as Message;
    Ok(RateLimit {
        origin: reader.at("origin", |reader| {
            object_ref(reader, message.origin.unwrap_or_default())
        })?,
        ports: reader.ports("ports", message.ports)?,
        matches: reader.list("matches", message.matches, request_match)?,
        clients: text_matches(reader, "clients", message.clients)?,
        except: text_matches(reader, "except", message.except)?,
        allowance: match reader.present("allowance", message.allowance)? {
            Message::Local(message) => reader.at("local", |reader| local(reader, message))?,
            Message::Global(message) => {
                let limit = reader.at("global", |reader| global(reader, message))?;
                Allowance::Global(Box::new(limit))
            }
        },
    })
}

fn local(reader: &mut Reader, message: mesh::LocalLimit) -> Decoded<Allowance> {
    Ok(Allowance::Local {
        requests: reader.number("requests", message.requests, 1..=u32::MAX)?,
        per: reader.duration("per", message.per_nanos)?,
        burst: reader.number("burst", message.burst, 1..=u32::MAX)?,
        by_identity: message.by_identity,
    })
}

fn global(reader: &mut Reader, message: mesh::GlobalLimit) -> Decoded<GlobalLimit> {
    let timeout = reader.duration("timeout", message.timeout_nanos)?;
    Ok(GlobalLimit {
        service: service(reader, message.service)?,
        domain: reader.text("domain", message.domain)?,
        entries: reader.list("entries", message.entries, entry)?,
        timeout: reader.number("timeout", timeout, Duration::ZERO..=MAX_ANSWER_TIME)?,
        allow_on_failure: message.allow_on_failure,
    })
}

pub(super) fn service(reader: &mut Reader, text: String) -> Decoded<Arc<str>> {
    let text = reader.text("service", text)?;
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text),
        _ => reader.at("service", |reader| {
            Err(reader.error(format!("\"{text}\" is not host:port")))
        }),
    }
}

fn entry(reader: &mut Reader, message: mesh::DescriptorEntry) -> Decoded<(Arc<str>, DescriptorValue)> {
    use mesh::descriptor_entry::Value;
    let value = match reader.present("value", message.value)? {
        Value::Fixed(text) => DescriptorValue::Fixed(reader.text("fixed", text)?),
        Value::Header(name) => {
            DescriptorValue::Header(reader.at("header", |reader| header_name(reader, &name))?)
        }
        Value::Principal(_) => DescriptorValue::Principal,
        Value::Path(_) => DescriptorValue::Path,
        Value::Method(_) => DescriptorValue::Method,
    };
    Ok((reader.text("key", message.key)?, value))
}
