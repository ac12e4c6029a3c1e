//! Whose tokens a workload takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use envoy_types::pb::envoy::config::common::mutation_rules::v3::{
    HeaderMutation,
    header_mutation::{Action, RemoveOnMatch},
};
use envoy_types::pb::envoy::config::route::v3::{RouteMatch, route_match::PathSpecifier};
use envoy_types::pb::envoy::extensions::filters::http::header_mutation::v3 as header_mutation;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3 as xds;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpFilter, http_filter::ConfigType,
};
use envoy_types::pb::google::protobuf::{Any, Empty};
use http::HeaderName;
use prost::Message as _;
use wattle_model::{Inbound, TokenLocation, TokenRule};
use xds::jwt_provider::{JwksSourceSpecifier, NormalizePayload};
use xds::jwt_requirement::RequiresType;
use xds::requirement_rule::RequirementType;

use super::hcm::http_filter;
use crate::notes::Notes;
use crate::proto::inline;
use crate::text::{escaped, matching};

/// Name of the filter, under which it tells others what it verified.
pub(crate) const TOKENS: &str = "envoy.filters.http.jwt_authn";
/// Where the payload is in what it tells.
pub(crate) const PAYLOAD: &str = "payload";
/// A key that nobody has: Envoy refuses a listener with a set in which it can use none. Its `x` is the SHA-256 of
/// `wattle: nobody's key 0`, so that nobody knows a private key to it.
const NOBODY: &str = r#"{"kty":"EC","crv":"P-256","kid":"wattle-nobody","x":"mXT8fflX1PDqxZsjUUobHouEd1JUOisyLo8Jnv8Dgr8","y":"K4PJX8SRZc-l4YuLtZUUU4Htt3xyBEC8CYNnyIXbptU"}"#;
/// Claims that are lists whatever a rule says (Istio).
const SPACE_DELIMITED: [&str; 2] = ["scope", "permission"];

const TYPE: &str = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";

/// The fields of `JwtAuthentication` that are used, with its providers in order.
#[derive(Clone, PartialEq, prost::Message)]
struct Config {
    #[prost(btree_map = "string, message", tag = "1")]
    providers: BTreeMap<String, xds::JwtProvider>,
    #[prost(message, repeated, tag = "2")]
    rules: Vec<xds::RequirementRule>,
}

/// The filters that verify tokens; none without rules.
///
/// The verifier removes what a client says in a rule's headers only when it comes to that rule, so that a filter before it
/// removes all of them.
pub(super) fn filters(rules: &[TokenRule]) -> Vec<HttpFilter> {
    if rules.is_empty() {
        return Vec::new();
    }
    let mut config = Config::default();
    let mut any = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        let name = number.to_string();
        any.push(requires(RequiresType::ProviderName(name.clone())));
        config.providers.insert(name, provider(rule));
    }
    any.push(requires(RequiresType::AllowMissing(Empty {})));
    let asked = requires(RequiresType::RequiresAny(xds::JwtRequirementOrList {
        requirements: any,
    }));
    config.rules = vec![xds::RequirementRule {
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix("/".to_owned())),
            ..Default::default()
        }),
        requirement_type: Some(RequirementType::Requires(asked)),
    }];
    let config = Any {
        type_url: TYPE.to_owned(),
        value: config.encode_to_vec(),
    };
    let verifying = HttpFilter {
        name: TOKENS.to_owned(),
        config_type: Some(ConfigType::TypedConfig(config)),
        ..Default::default()
    };
    removing(rules).into_iter().chain([verifying]).collect()
}

/// Removes headers that only a token fills, in every spelling that an application may read alike.
fn removing(rules: &[TokenRule]) -> Option<HttpFilter> {
    let reserved = rules.iter().flat_map(|rule| {
        let claims = rule.claim_headers.iter().map(|told| &told.header);
        rule.payload_header.iter().chain(claims)
    });
    let holds_token = |name: &HeaderName| {
        let mut places = rules.iter().flat_map(|rule| &rule.locations);
        places.any(|place| matches!(place, TokenLocation::Header(known, _) if known == name))
    };
    let names: BTreeSet<&str> = reserved
        .filter(|name| !holds_token(name))
        .map(HeaderName::as_str)
        .collect();
    let spelled = |name: &&str| escaped(name).replace(['-', '_'], "[-_]");
    let mutations = names.iter().map(|name| HeaderMutation {
        action: Some(Action::RemoveOnMatch(RemoveOnMatch {
            key_matcher: Some(matching(spelled(name))),
        })),
    });
    let mutations: Vec<_> = mutations.collect();
    let config = header_mutation::HeaderMutation {
        mutations: Some(header_mutation::Mutations {
            request_mutations: mutations,
            ..Default::default()
        }),
        ..Default::default()
    };
    (!names.is_empty()).then(|| http_filter("wattle.tokens.reserved", &config))
}

/// Writes down what the verifier does otherwise.
pub(super) fn note(inbound: &Inbound, notes: &mut Notes) {
    if let [first, _, ..] = &*inbound.tokens {
        notes.at(Some(&first.origin), &Arc::clone(&inbound.name));
        notes.gap("several rules about tokens: of several tokens in a request one that is valid is enough");
    }
}

fn requires(requires_type: RequiresType) -> xds::JwtRequirement {
    xds::JwtRequirement {
        requires_type: Some(requires_type),
    }
}

/// The public keys of a set, and nobody's; secrets are left out, as our own proxy does. What is no set has none.
fn keys(written: Option<&str>) -> String {
    let set: Option<serde_json::Value> = written.and_then(|text| serde_json::from_str(text).ok());
    let listed = set.as_ref().and_then(|set| set.get("keys")?.as_array());
    let public = listed.into_iter().flatten().filter(|key| {
        let kind = key.get("kty").and_then(|kind| kind.as_str());
        matches!(kind, Some("RSA" | "EC" | "OKP"))
    });
    let mut all: Vec<String> = public.map(ToString::to_string).collect();
    all.push(NOBODY.to_owned());
    format!(r#"{{"keys":[{}]}}"#, all.join(","))
}

fn provider(rule: &TokenRule) -> xds::JwtProvider {
    let lists = SPACE_DELIMITED.into_iter();
    let lists = lists.chain(rule.space_delimited.iter().map(|name| &**name));
    let claims = rule.claim_headers.iter().map(|told| xds::JwtClaimToHeader {
        header_name: told.header.to_string(),
        claim_name: told.claim.join("."),
        ..Default::default()
    });
    let payload = rule.payload_header.as_ref();
    let mut provider = xds::JwtProvider {
        issuer: rule.issuer.as_deref().unwrap_or_default().to_owned(),
        audiences: rule.audiences.iter().map(ToString::to_string).collect(),
        forward: rule.forward,
        forward_payload_header: payload.map(ToString::to_string).unwrap_or_default(),
        payload_in_metadata: PAYLOAD.to_owned(),
        normalize_payload_in_metadata: Some(NormalizePayload {
            space_delimited_claims: lists.map(str::to_owned).collect(),
        }),
        claim_to_headers: claims.collect(),
        jwks_source_specifier: Some(JwksSourceSpecifier::LocalJwks(inline(&keys(
            rule.keys.as_deref(),
        )))),
        ..Default::default()
    };
    for place in &rule.locations {
        match place {
            TokenLocation::Header(name, prefix) => provider.from_headers.push(xds::JwtHeader {
                name: name.to_string(),
                value_prefix: prefix.to_string(),
            }),
            TokenLocation::Query(name) => provider.from_params.push(name.to_string()),
            TokenLocation::Cookie(name) => provider.from_cookies.push(name.to_string()),
        }
    }
    provider
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_the_public_keys_that_were_written_and_never_none() {
        let nobody = format!(r#"{{"keys":[{NOBODY}]}}"#);
        for nothing in [
            None,
            Some("{}"),
            Some("no keys"),
            Some(r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#),
        ] {
            assert_eq!(keys(nothing), nobody, "{nothing:?}");
        }
        let written = r#"{"keys":[{"crv":"Ed25519","kty":"OKP","x":"a"}]}"#;
        let expected = format!(r#"{{"keys":[{{"crv":"Ed25519","kty":"OKP","x":"a"}},{NOBODY}]}}"#);
        assert_eq!(keys(Some(written)), expected);
    }
}
