//! Random authorization as a whole, with who is asked outside, and tokens.

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wattle_model::*;

use super::inbound::policy;
use super::matches::{request_match, texts};
use super::parts::{boxed, header, header_name, object_ref, rule_ref, text};

pub(super) fn authorization(
    dry_run: impl Strategy<Value = Option<Arc<Authorization>>>,
) -> impl Strategy<Value = Authorization> {
    let policies = || vec(policy(), 0..2);
    let external = (authorizer(), policies()).prop_map(|(authorizer, policies)| External {
        authorizer: Arc::new(authorizer),
        policies,
    });
    (
        [policies(), policies(), policies()],
        vec(external, 0..2),
        vec(gate(), 0..2),
        dry_run,
    )
        .prop_map(|([deny, allow, audit], external, gates, dry_run)| Authorization {
            external,
            deny,
            gates,
            allow,
            audit,
            dry_run,
        })
}

fn gate() -> impl Strategy<Value = Gate> {
    let policies = || vec(policy(), 0..2);
    let route = (rule_ref(), request_match(), policies()).prop_map(|(origin, matches, allow)| GateRoute {
        origin,
        matches,
        allow,
    });
    let port = option::of(any::<u16>());
    (object_ref(), port, policies(), vec(route, 0..2), any::<bool>()).prop_map(
        |(origin, port, allow, routes, audit)| Gate {
            origin,
            port,
            allow,
            routes,
            audit,
        },
    )
}

fn authorizer() -> impl Strategy<Value = ExternalAuthorizer> {
    let body =
        (1_u32..=4096, any::<bool>(), any::<bool>()).prop_map(|(max_bytes, allow_partial, as_bytes)| {
            CheckedBody {
                max_bytes,
                allow_partial,
                as_bytes,
            }
        });
    let protocol = prop_oneof![
        Just(CheckProtocol::Grpc),
        http_check().prop_map(|check| CheckProtocol::Http(Box::new(check))),
    ];
    let timeout = (1_u64..=600_000_000_000).prop_map(Duration::from_nanos);
    let service = "[a-z.]{1,6}:[1-9][0-9]{0,3}".prop_map(|service| service.into());
    (
        (text(), service, protocol),
        (timeout, any::<bool>(), 200_u16..600),
        option::of(body),
    )
        .prop_map(
            |((name, service, protocol), (timeout, fail_open, status_on_error), body)| ExternalAuthorizer {
                name,
                service,
                protocol,
                timeout,
                fail_open,
                status_on_error,
                body,
            },
        )
}

fn http_check() -> impl Strategy<Value = HttpCheck> {
    (text(), vec(header(), 0..2), [texts(), texts(), texts(), texts()]).prop_map(
        |(path_prefix, added, [shown, to_upstream, on_deny, on_allow])| HttpCheck {
            path_prefix,
            shown,
            added,
            to_upstream,
            to_downstream_on_deny: on_deny,
            to_downstream_on_allow: on_allow,
        },
    )
}

pub(super) fn token_rule() -> impl Strategy<Value = TokenRule> {
    let location = prop_oneof![
        (header_name(), boxed()).prop_map(|(name, prefix)| TokenLocation::Header(name, prefix)),
        boxed().prop_map(TokenLocation::Query),
        boxed().prop_map(TokenLocation::Cookie),
    ];
    let claim_header =
        (header_name(), vec(boxed(), 1..3)).prop_map(|(header, claim)| ClaimHeader { header, claim });
    (
        (object_ref(), option::of(text()), option::of(text())),
        [vec(text(), 0..2), vec(text(), 0..2)],
        vec(location, 0..3),
        (any::<bool>(), option::of(header_name()), vec(claim_header, 0..2)),
    )
        .prop_map(
            |(
                (origin, issuer, keys),
                [audiences, space_delimited],
                locations,
                (forward, payload_header, claim_headers),
            )| {
                TokenRule {
                    origin,
                    issuer,
                    audiences,
                    keys,
                    locations,
                    forward,
                    payload_header,
                    claim_headers,
                    space_delimited,
                }
            },
        )
}
