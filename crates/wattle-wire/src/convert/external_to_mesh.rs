//! External authorization and tokens to messages.

use wattle_model::{
    CheckProtocol, CheckedBody, ClaimHeader, External, ExternalAuthorizer, HttpCheck, TokenLocation,
    TokenRule,
};

use super::authorization_to_mesh::policies;
use super::filter_to_mesh::header;
use super::match_to_mesh::text_matches as texts;
use super::parts_to_mesh::{nanos, object_ref};
use crate::proto::mesh;

pub(super) fn external(value: &External) -> mesh::External {
    mesh::External {
        authorizer: Some(authorizer(&value.authorizer)),
        policies: policies(&value.policies),
    }
}

fn authorizer(value: &ExternalAuthorizer) -> mesh::ExternalAuthorizer {
    use mesh::external_authorizer::Protocol;
    mesh::ExternalAuthorizer {
        name: value.name.to_string(),
        service: value.service.to_string(),
        protocol: Some(match &value.protocol {
            CheckProtocol::Grpc => Protocol::Grpc(mesh::GrpcCheck {}),
            CheckProtocol::Http(check) => Protocol::Http(http_check(check)),
        }),
        timeout_nanos: nanos(value.timeout),
        fail_open: value.fail_open,
        status_on_error: value.status_on_error.into(),
        body: value.body.as_ref().map(body),
    }
}

fn http_check(value: &HttpCheck) -> mesh::HttpCheck {
    mesh::HttpCheck {
        path_prefix: value.path_prefix.to_string(),
        shown: texts(&value.shown),
        added: value.added.iter().map(header).collect(),
        to_upstream: texts(&value.to_upstream),
        to_downstream_on_deny: texts(&value.to_downstream_on_deny),
        to_downstream_on_allow: texts(&value.to_downstream_on_allow),
    }
}

fn body(value: &CheckedBody) -> mesh::CheckedBody {
    mesh::CheckedBody {
        max_bytes: value.max_bytes,
        allow_partial: value.allow_partial,
        as_bytes: value.as_bytes,
    }
}

pub(super) fn token_rule(value: &TokenRule) -> mesh::TokenRule {
    let text = |text: &std::sync::Arc<str>| text.to_string();
    mesh::TokenRule {
        origin: Some(object_ref(&value.origin)),
        issuer: value.issuer.as_ref().map(text),
        audiences: value.audiences.iter().map(text).collect(),
        keys: value.keys.as_ref().map(text),
        locations: value.locations.iter().map(location).collect(),
        forward: value.forward,
        payload_header: value.payload_header.as_ref().map(ToString::to_string),
        claim_headers: value.claim_headers.iter().map(claim_header).collect(),
        space_delimited: value.space_delimited.iter().map(text).collect(),
    }
}

fn location(value: &TokenLocation) -> mesh::TokenLocation {
    use mesh::token_location::Place;
    mesh::TokenLocation {
        place: Some(match value {
            TokenLocation::Header(name, prefix) => Place::Header(mesh::TokenHeader {
                name: name.to_string(),
                prefix: prefix.to_string(),
            }),
            TokenLocation::Query(name) => Place::Query(name.to_string()),
            TokenLocation::Cookie(name) => Place::Cookie(name.to_string()),
        }),
    }
}

fn claim_header(value: &ClaimHeader) -> mesh::ClaimHeader {
    mesh::ClaimHeader {
        header: value.header.to_string(),
        claim: value.claim.iter().map(ToString::to_string).collect(),
    }
}
