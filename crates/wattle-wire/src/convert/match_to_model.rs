//! Messages to predicates over requests. Refuses what makes no sense.

use wattle_model::{HeaderMatch, HostMatch, PathMatch, QueryMatch, RequestMatch, TextMatch};

use super::parts_to_model::{header_name, labels, pattern};
use super::{Decoded, Reader};
use crate::proto::mesh;

pub(super) fn request_match(reader: &mut Reader, message: mesh::RequestMatch) -> Decoded<RequestMatch> {
    Ok(RequestMatch {
        hosts: host_matches(reader, "hosts", message.hosts)?,
        path: reader.optional("path", message.path, path_match)?,
        method: reader.optional("method", message.method, text_match)?,
        scheme: reader.optional("scheme", message.scheme, text_match)?,
        authority: reader.optional("authority", message.authority, text_match)?,
        headers: reader.list("headers", message.headers, header)?,
        query: reader.list("query", message.query, query)?,
        caller_labels: labels(reader, "caller_labels", message.caller_labels)?,
    })
}

pub(super) fn host_matches(
    reader: &mut Reader,
    field: &'static str,
    messages: Vec<mesh::HostMatch>,
) -> Decoded<Vec<HostMatch>> {
    reader.list(field, messages, host_match)
}

fn host_match(reader: &mut Reader, message: mesh::HostMatch) -> Decoded<HostMatch> {
    use mesh::host_match::Kind;
    Ok(match reader.present("kind", message.kind)? {
        Kind::Exact(host) => HostMatch::Exact(lower_case(reader, "exact", host)?),
        Kind::Suffix(suffix) if !suffix.starts_with('.') => {
            return Err(reader.error(format!("suffix \"{suffix}\" does not start with a dot")));
        }
        Kind::Suffix(suffix) => HostMatch::Suffix(lower_case(reader, "suffix", suffix)?),
        Kind::Any(_) => HostMatch::Any,
    })
}

/// Hosts are looked up in lower case: one in upper case would match nothing.
fn lower_case(reader: &mut Reader, field: &'static str, host: String) -> Decoded<Box<str>> {
    let host = reader.boxed(field, host)?;
    match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Err(reader.error(format!("host \"{host}\" is not in lower case"))),
        false => Ok(host),
    }
}

fn path_match(reader: &mut Reader, message: mesh::PathMatch) -> Decoded<PathMatch> {
    use mesh::path_match::Kind;
    Ok(match reader.present("kind", message.kind)? {
        Kind::Exact(text) => PathMatch::Exact(reader.boxed("exact", text)?),
        Kind::Prefix(text) => PathMatch::Prefix(reader.boxed("prefix", text)?),
        Kind::StartsWith(text) => PathMatch::StartsWith(reader.boxed("starts_with", text)?),
        Kind::Regex(text) => PathMatch::Regex(reader.at("regex", |reader| pattern(reader, &text))?),
        Kind::ExactAnyCase(text) => PathMatch::ExactAnyCase(reader.boxed("exact_any_case", text)?),
        Kind::StartsWithAnyCase(text) => {
            PathMatch::StartsWithAnyCase(reader.boxed("starts_with_any_case", text)?)
        }
    })
}

fn header(reader: &mut Reader, message: mesh::HeaderMatch) -> Decoded<HeaderMatch> {
    Ok(HeaderMatch {
        name: reader.at("name", |reader| header_name(reader, &message.name))?,
        value: reader.required("value", message.value, text_match)?,
        inverted: message.inverted,
    })
}

fn query(reader: &mut Reader, message: mesh::QueryMatch) -> Decoded<QueryMatch> {
    Ok(QueryMatch {
        name: reader.boxed("name", message.name)?,
        value: reader.required("value", message.value, text_match)?,
    })
}

pub(super) fn text_matches(
    reader: &mut Reader,
    field: &'static str,
    messages: Vec<mesh::TextMatch>,
) -> Decoded<Vec<TextMatch>> {
    reader.list(field, messages, text_match)
}

fn text_match(reader: &mut Reader, message: mesh::TextMatch) -> Decoded<TextMatch> {
    use mesh::text_match::Kind;
    Ok(match reader.present("kind", message.kind)? {
        Kind::Exact(text) => TextMatch::Exact(reader.boxed("exact", text)?),
        Kind::Prefix(text) => TextMatch::Prefix(reader.boxed("prefix", text)?),
        Kind::Suffix(text) => TextMatch::Suffix(reader.boxed("suffix", text)?),
        Kind::Present(_) => TextMatch::Present,
        Kind::Regex(text) => TextMatch::Regex(reader.at("regex", |reader| pattern(reader, &text))?),
    })
}
