//! Messages to filters and to the answers that a rule gives by itself. Refuses what makes no sense.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use wattle_model::{
    Abort, Cors, CorsList, DirectResponse, Fault, Filters, HeaderModifier, Mirror, PathRewrite, Redirect,
    RedirectPort, Substitution, UrlRewrite,
};

use super::match_to_model::text_matches;
use super::parts_to_model::{backend_index, chance, header_name};
use super::{Decoded, Reader};
use crate::proto::mesh;

/// Longest body of an answer that a rule gives by itself, bytes.
const MAX_BODY: usize = 1024 * 1024;

/// Filters of a rule whose destination has so many backends.
pub(super) fn filters(reader: &mut Reader, message: mesh::Filters, backends: usize) -> Decoded<Filters> {
    let request_headers = message.request_headers.unwrap_or_default();
    let response_headers = message.response_headers.unwrap_or_default();
    let rewrite = message.rewrite.unwrap_or_default();
    Ok(Filters {
        request_headers: reader.at("request_headers", |reader| headers(reader, request_headers))?,
        response_headers: reader.at("response_headers", |reader| headers(reader, response_headers))?,
        rewrite: reader.at("rewrite", |reader| url_rewrite(reader, rewrite))?,
        mirrors: reader.list("mirrors", message.mirrors, |reader, message| {
            mirror(reader, message, backends)
        })?,
        cors: reader.optional("cors", message.cors, cors)?.map(Box::new),
        fault: reader.optional("fault", message.fault, fault)?,
    })
}

/// Filters of one backend of a rule: what only a rule can do would be ignored there.
pub(super) fn backend_filters(
    reader: &mut Reader,
    message: mesh::Filters,
    backends: usize,
) -> Decoded<Filters> {
    if message.cors.is_some() || message.fault.is_some() {
        return Err(reader.error("cors and fault belong to a rule, not to one backend of it"));
    }
    filters(reader, message, backends)
}

fn headers(reader: &mut Reader, message: mesh::HeaderModifier) -> Decoded<HeaderModifier> {
    Ok(HeaderModifier {
        set: reader.list("set", message.set, header)?,
        add: reader.list("add", message.add, header)?,
        remove: reader.list("remove", message.remove, |reader, text| {
            header_name(reader, &text)
        })?,
    })
}

pub(super) fn header(reader: &mut Reader, message: mesh::Header) -> Decoded<(HeaderName, HeaderValue)> {
    let value = HeaderValue::from_bytes(&message.value)
        .map_err(|_| reader.error(format!("value of header {} has forbidden bytes", message.name)))?;
    Ok((header_name(reader, &message.name)?, value))
}

fn url_rewrite(reader: &mut Reader, message: mesh::UrlRewrite) -> Decoded<UrlRewrite> {
    Ok(UrlRewrite {
        host: reader.optional_text("host", message.host)?,
        path: reader.optional("path", message.path, path_rewrite)?,
    })
}

fn path_rewrite(reader: &mut Reader, message: mesh::PathRewrite) -> Decoded<PathRewrite> {
    use mesh::path_rewrite::Kind;
    Ok(match reader.present("kind", message.kind)? {
        Kind::Full(text) => PathRewrite::Full(reader.boxed("full", text)?),
        Kind::Prefix(text) => PathRewrite::Prefix(reader.boxed("prefix", text)?),
        Kind::Matched(text) => PathRewrite::Matched(reader.boxed("matched", text)?),
        Kind::Regex(message) => {
            PathRewrite::Regex(reader.at("regex", |reader| substitution(reader, message))?)
        }
    })
}

fn substitution(reader: &mut Reader, message: mesh::Substitution) -> Decoded<Substitution> {
    let pattern = reader.boxed("pattern", message.pattern)?;
    let replacement = reader.boxed("replacement", message.replacement)?;
    Substitution::new(&pattern, &replacement)
        .map_err(|error| reader.error(format!("\"{pattern}\" is not a regular expression: {error}")))
}

fn mirror(reader: &mut Reader, message: mesh::Mirror, backends: usize) -> Decoded<Mirror> {
    Ok(Mirror {
        backend: backend_index(reader, "backend", message.backend, backends)?,
        written: reader.boxed("written", message.written)?,
        chance: chance(reader, message.chance)?,
    })
}

fn cors(reader: &mut Reader, message: mesh::Cors) -> Decoded<Cors> {
    Ok(Cors {
        origins: text_matches(reader, "origins", message.origins)?,
        methods: reader.required("methods", message.methods, cors_list)?,
        headers: reader.required("headers", message.headers, cors_list)?,
        expose: reader.required("expose", message.expose, cors_list)?,
        max_age: message.max_age_nanos.map(Duration::from_nanos),
        credentials: message.credentials,
        forwards_unmatched: message.forwards_unmatched,
    })
}

fn cors_list(reader: &mut Reader, message: mesh::CorsList) -> Decoded<CorsList> {
    use mesh::cors_list::Kind;
    match reader.present("kind", message.kind)? {
        Kind::Any(_) => Ok(CorsList::Any),
        Kind::These(names) if HeaderValue::from_str(&names).is_err() => {
            Err(reader.error(format!("{names:?} is not the value of a header")))
        }
        Kind::These(names) => reader.boxed("these", names).map(CorsList::These),
    }
}

fn fault(reader: &mut Reader, message: mesh::Fault) -> Decoded<Fault> {
    Ok(Fault {
        delay: reader.optional("delay", message.delay, |reader, delay| {
            Ok((chance(reader, delay.chance)?, Duration::from_nanos(delay.nanos)))
        })?,
        abort: reader.optional("abort", message.abort, |reader, message| {
            Ok((chance(reader, message.chance)?, abort(reader, message.status)?))
        })?,
    })
}

fn abort(reader: &mut Reader, message: Option<mesh::abort::Status>) -> Decoded<Abort> {
    use mesh::abort::Status;
    Ok(match reader.present("status", message)? {
        Status::Http(status) => Abort::Http(reader.number("http", status, 200..=599)? as u16),
        Status::Grpc(status) => Abort::Grpc(reader.number("grpc", status, 0..=16)? as u8),
    })
}

pub(super) fn redirect(reader: &mut Reader, message: mesh::Redirect) -> Decoded<Redirect> {
    let status = match message.status {
        301 | 302 | 303 | 307 | 308 => message.status as u16,
        other => return Err(reader.error(format!("status {other}, 301, 302, 303, 307 or 308 expected"))),
    };
    Ok(Redirect {
        scheme: reader.optional_text("scheme", message.scheme)?,
        host: reader.optional_text("host", message.host)?,
        port: redirect_port(reader, message.port)?,
        path: reader.optional("path", message.path, path_rewrite)?,
        status,
    })
}

fn redirect_port(reader: &mut Reader, message: Option<mesh::redirect::Port>) -> Decoded<RedirectPort> {
    use mesh::redirect::Port;
    Ok(match message {
        None => RedirectPort::Listener,
        Some(Port::Fixed(port)) => RedirectPort::Fixed(reader.number("port", port, 1..=65535)? as u16),
        Some(Port::AsSent(_)) => RedirectPort::AsSent,
        Some(Port::OfScheme(_)) => RedirectPort::OfScheme,
        Some(Port::Dialled(_)) => RedirectPort::Dialled,
    })
}

pub(super) fn direct_response(reader: &mut Reader, message: mesh::DirectResponse) -> Decoded<DirectResponse> {
    let status = reader.number("status", message.status, 200..=599)? as u16;
    reader.at("body", |reader| {
        reader.size("bytes", message.body.len(), MAX_BODY)?;
        Ok(DirectResponse {
            status,
            body: message.body.into(),
        })
    })
}
