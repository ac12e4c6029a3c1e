//! What several messages are made of: references, labels and names.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use wattle_model::{Chance, Locality, ObjectRef, Pattern, Protocol, Reason, RuleRef, ServicePort, Workload};

use super::{Decoded, Reader};
use crate::proto::mesh;

pub(super) fn object_ref(reader: &mut Reader, message: mesh::ObjectRef) -> Decoded<ObjectRef> {
    Ok(ObjectRef {
        kind: reader.text("kind", message.kind)?,
        namespace: reader.text("namespace", message.namespace)?,
        name: reader.text("name", message.name)?,
        file: reader.text("file", message.file)?,
        line: message.line,
    })
}

pub(super) fn rule_ref(reader: &mut Reader, message: mesh::RuleRef) -> Decoded<RuleRef> {
    let object = message.object.unwrap_or_default();
    Ok(RuleRef {
        object: reader.at("object", |reader| object_ref(reader, object))?,
        rule: message.rule,
        matched: message.matched,
        name: reader.text("name", message.name)?,
    })
}

pub(super) fn service_port(reader: &mut Reader, message: mesh::ServicePort) -> Decoded<ServicePort> {
    Ok(ServicePort {
        namespace: reader.text("namespace", message.namespace)?,
        name: reader.text("name", message.name)?,
        host: reader.text("host", message.host)?,
        port: reader.port("port", message.port)?,
    })
}

pub(super) fn protocol(reader: &mut Reader, protocol: i32) -> Decoded<Protocol> {
    Ok(match mesh::Protocol::try_from(protocol) {
        Ok(mesh::Protocol::Detect) => Protocol::Detect,
        Ok(mesh::Protocol::Tcp) => Protocol::Tcp,
        Ok(mesh::Protocol::Tls) => Protocol::Tls,
        Ok(mesh::Protocol::Http1) => Protocol::Http1,
        Ok(mesh::Protocol::Http2) => Protocol::Http2,
        Ok(mesh::Protocol::Grpc) => Protocol::Grpc,
        Err(_) => return Err(reader.error(format!("protocol {protocol} is not known"))),
    })
}

pub(super) fn labels(
    reader: &mut Reader,
    field: &'static str,
    messages: Vec<mesh::Label>,
) -> Decoded<Vec<(Arc<str>, Arc<str>)>> {
    reader.list(field, messages, |reader, label| {
        Ok((reader.text("key", label.key)?, reader.text("value", label.value)?))
    })
}

pub(super) fn locality(reader: &mut Reader, message: Option<mesh::Locality>) -> Decoded<Locality> {
    let message = message.unwrap_or_default();
    reader.at("locality", |reader| {
        Ok(Locality {
            region: reader.text("region", message.region)?,
            zone: reader.text("zone", message.zone)?,
            subzone: reader.text("subzone", message.subzone)?,
        })
    })
}

pub(super) fn workload(reader: &mut Reader, message: Option<mesh::Workload>) -> Decoded<Workload> {
    let message = message.unwrap_or_default();
    reader.at("workload", |reader| {
        Ok(Workload {
            namespace: reader.text("namespace", message.namespace)?,
            name: reader.text("name", message.name)?,
            instance: reader.text("instance", message.instance)?,
            service_account: reader.text("service_account", message.service_account)?,
            trust_domain: reader.text("trust_domain", message.trust_domain)?,
            app: reader.text("app", message.app)?,
            version: reader.text("version", message.version)?,
            canonical_service: reader.text("canonical_service", message.canonical_service)?,
            canonical_revision: reader.text("canonical_revision", message.canonical_revision)?,
            cluster: reader.text("cluster", message.cluster)?,
        })
    })
}

/// A reason by its id.
pub(super) fn reason(reader: &mut Reader, id: &str) -> Decoded<Reason> {
    Reason::from_id(id).ok_or_else(|| reader.error(format!("reason \"{id}\" is not known")))
}

/// Which of a destination's backends, of which there are `count`.
pub(super) fn backend_index(
    reader: &mut Reader,
    field: &'static str,
    index: Option<u32>,
    count: usize,
) -> Decoded<Option<u32>> {
    reader.optional(field, index, |reader, index| {
        if (index as usize) < count {
            return Ok(index);
        }
        Err(reader.error(format!("refers to backend {index} of {count}")))
    })
}

pub(super) fn chance(reader: &mut Reader, millionths: u32) -> Decoded<Chance> {
    let most = Chance::ALWAYS.millionths();
    reader
        .number("chance", millionths, 0..=most)
        .map(Chance::per_million)
}

pub(super) fn pattern(reader: &mut Reader, text: &str) -> Decoded<Pattern> {
    Pattern::new(text)
        .map_err(|error| reader.error(format!("\"{text}\" is not a regular expression: {error}")))
}

pub(super) fn header_name(reader: &mut Reader, text: &str) -> Decoded<HeaderName> {
    HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| reader.error(format!("\"{text}\" is not a header name")))
}

/// A text that is part of a cookie: one with a `;` or a line's end would say more than it should.
pub(super) fn cookie_part(reader: &mut Reader, field: &'static str, text: String) -> Decoded<Box<str>> {
    let text = reader.boxed(field, text)?;
    if HeaderValue::from_str(&text).is_ok() && !text.contains(';') {
        return Ok(text);
    }
    reader.at(field, |reader| {
        Err(reader.error(format!("{text:?} cannot be part of a cookie")))
    })
}
