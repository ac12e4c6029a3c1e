//! Messages to external authorization and tokens. Refuses what makes no sense.

use std::sync::Arc;
use std::time::Duration;

use wattle_model::{
    CheckProtocol, CheckedBody, ClaimHeader, External, ExternalAuthorizer, HttpCheck, TokenLocation,
    TokenRule,
};

use super::authorization_to_model::policy;
use super::filter_to_model::header;
use super::inbound_to_model::service;
use super::match_to_model::text_matches as texts;
use super::parts_to_model::{header_name, object_ref};
use super::{Decoded, Reader};
use crate::proto::mesh;

/// Longest time for the answer of a service that is asked.
const MAX_ANSWER_TIME: Duration = Duration::from_secs(600);
/// Most bytes of a body that such a service is shown.
const MAX_SHOWN: u32 = 4 * 1024 * 1024;

pub(super) fn external(reader: &mut Reader, message: mesh::External) -> Decoded<External> {
    let authorizer = reader.required("authorizer", message.authorizer, authorizer)?;
    Ok(External {
        authorizer: Arc::new(authorizer),
        policies: reader.list("policies", message.policies, policy)?,
    })
}

fn authorizer(reader: &mut Reader, message: mesh::ExternalAuthorizer) -> Decoded<ExternalAuthorizer> {
    use mesh::external_authorizer::Protocol;
    let timeout = reader.duration("timeout", message.timeout_nanos)?;
    let status = u16::try_from(message.status_on_error).unwrap_or(u16::MAX);
    Ok(ExternalAuthorizer {
        name: reader.text("name", message.name)?,
        service: service(reader, message.service)?,
        protocol: match reader.present("protocol", message.protocol)? {
            Protocol::Grpc(_) => CheckProtocol::Grpc,
            Protocol::Http(check) => {
                let check = reader.at("http", |reader| http_check(reader, check))?;
                CheckProtocol::Http(Box::new(check))
            }
        },
        timeout: reader.number("timeout", timeout, Duration::ZERO..=MAX_ANSWER_TIME)?,
        fail_open: message.fail_open,
        status_on_error: reader.number("status_on_error", status, 200..=599)?,
        body: reader.optional("body", message.body, body)?,
    })
}

fn http_check(reader: &mut Reader, message: mesh::HttpCheck) -> Decoded<HttpCheck> {
    Ok(HttpCheck {
        path_prefix: reader.text("path_prefix", message.path_prefix)?,
        shown: texts(reader, "shown", message.shown)?,
        added: reader.list("added", message.added, header)?,
        to_upstream: texts(reader, "to_upstream", message.to_upstream)?,
        to_downstream_on_deny: texts(reader, "to_downstream_on_deny", message.to_downstream_on_deny)?,
        to_downstream_on_allow: texts(reader, "to_downstream_on_allow", message.to_downstream_on_allow)?,
    })
}

fn body(reader: &mut Reader, message: mesh::CheckedBody) -> Decoded<CheckedBody> {
    Ok(CheckedBody {
        max_bytes: reader.number("max_bytes", message.max_bytes, 1..=MAX_SHOWN)?,
        allow_partial: message.allow_partial,
        as_bytes: message.as_bytes,
    })
}

pub(super) fn token_rule(reader: &mut Reader, message: mesh::TokenRule) -> Decoded<TokenRule> {
    Ok(TokenRule {
        origin: reader.at("origin", |reader| {
            object_ref(reader, message.origin.unwrap_or_default())
        })?,
        issuer: reader.optional_text("issuer", message.issuer)?,
        audiences: list(reader, "audiences", message.audiences)?,
        keys: reader.optional_text("keys", message.keys)?,
        locations: reader.list("locations", message.locations, location)?,
        forward: message.forward,
        payload_header: reader.optional("payload_header", message.payload_header, |reader, name| {
            header_name(reader, &name)
        })?,
        claim_headers: reader.list("claim_headers", message.claim_headers, claim_header)?,
        space_delimited: list(reader, "space_delimited", message.space_delimited)?,
    })
}

fn location(reader: &mut Reader, message: mesh::TokenLocation) -> Decoded<TokenLocation> {
    use mesh::token_location::Place;
    Ok(match reader.present("place", message.place)? {
        Place::Header(message) => {
            let name = reader.at("header", |reader| header_name(reader, &message.name))?;
            TokenLocation::Header(name, reader.boxed("prefix", message.prefix)?)
        }
        Place::Query(name) => TokenLocation::Query(reader.boxed("query", name)?),
        Place::Cookie(name) => TokenLocation::Cookie(reader.boxed("cookie", name)?),
    })
}

fn claim_header(reader: &mut Reader, message: mesh::ClaimHeader) -> Decoded<ClaimHeader> {
    Ok(ClaimHeader {
        header: reader.at("header", |reader| header_name(reader, &message.header))?,
        claim: list(reader, "claim", message.claim)?,
    })
}

fn list<T: From<String>>(reader: &mut Reader, field: &'static str, items: Vec<String>) -> Decoded<Vec<T>> {
    reader.list(field, items, |reader, text| {
        reader.boxed(field, text).map(|text| T::from(String::from(text)))
    })
}
