//! Authorization of requests.

use envoy_types::pb::envoy::config::listener::v3 as xds;
use envoy_types::pb::envoy::config::rbac::v3 as rbac;
use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::Rbac as HttpRbac;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use prost::Message as _;
use wattle_envoy::{Kind, Resources};
use wattle_model::{
    Attribute, Authorization, Condition, Inbound, IpBlock, Policy, PolicyRule, Source, TextMatch, TokenRule,
};

use crate::support::decoded;
use crate::support::mesh::{Mesh, object};

/// The rules for requests to a port that is not declared.
fn rules(told: &Resources) -> Vec<rbac::Rbac> {
    let listener: xds::Listener = decoded(told, Kind::Listener, "inbound");
    let mut chains = listener.filter_chains.iter();
    let chain = chains.find(|chain| chain.name == "other|mesh-http/1").unwrap();
    let Some(xds::filter::ConfigType::TypedConfig(config)) = &chain.filters[0].config_type else {
        panic!()
    };
    let manager = hcm::HttpConnectionManager::decode(&*config.value).unwrap();
    let filters = manager.http_filters.into_iter();
    let config = |filter: hcm::HttpFilter| match filter.config_type.unwrap() {
        hcm::http_filter::ConfigType::TypedConfig(config) => {
            HttpRbac::decode(&*config.value).unwrap().rules.unwrap()
        }
        other => panic!("{other:?}"),
    };
    filters
        .filter(|filter| filter.name.contains("authorization"))
        .map(config)
        .collect()
}

fn told(authorization: Authorization, tokens: Vec<TokenRule>) -> Resources {
    let inbound = Inbound {
        name: "shop/web".into(),
        authorization,
        tokens,
        ..Inbound::default()
    };
    Mesh {
        inbound: Some(inbound),
        ..Mesh::default()
    }
    .encode()
}

fn policy(rule: PolicyRule) -> Vec<Policy> {
    vec![Policy {
        origin: object("policy"),
        rules: vec![rule],
    }]
}

/// How many rules there are of a DENY policy and of an ALLOW policy, and how many gaps.
fn both(rule: &PolicyRule, tokens: &[TokenRule]) -> (usize, usize, usize) {
    let authorization = Authorization {
        deny: policy(rule.clone()),
        allow: policy(rule.clone()),
        ..Authorization::default()
    };
    let told = told(authorization, tokens.to_vec());
    let rules = rules(&told);
    let of = |action: rbac::rbac::Action| {
        let mut all = rules.iter().filter(|rules| rules.action == i32::from(action));
        all.next().map_or(0, |rules| rules.policies.len())
    };
    let gaps = told.gaps.iter().filter(|gap| gap.origin.is_some()).count();
    (of(rbac::rbac::Action::Deny), of(rbac::rbac::Action::Allow), gaps)
}

fn when(key: &str, values: &[TextMatch], not_values: &[TextMatch]) -> PolicyRule {
    let condition = Condition {
        attribute: Attribute::parse(key),
        values: values.to_vec(),
        not_values: not_values.to_vec(),
        blocks: vec![],
        not_blocks: vec![],
    };
    PolicyRule {
        when: vec![condition],
        ..PolicyRule::default()
    }
}

fn from(source: Source) -> PolicyRule {
    PolicyRule {
        from: vec![source],
        ..PolicyRule::default()
    }
}

#[test]
fn where_nobodys_tokens_are_taken_no_request_has_one() {
    let any = [TextMatch::Present];
    let wanting = from(Source {
        request_principals: any.to_vec(),
        ..Source::default()
    });
    let excluding = from(Source {
        not_request_principals: any.to_vec(),
        ..Source::default()
    });
    let claim = "request.auth.claims[group]";
    let table = [
        (wanting, (0, 0, 0)),
        (excluding, (1, 1, 0)),
        (when(claim, &any, &[]), (0, 0, 0)),
        (when(claim, &[], &any), (1, 1, 0)),
        (when("request.auth.principal", &any, &any), (0, 0, 0)),
    ];
    let taken = [TokenRule::bearer(object("tokens"))];
    for (rule, expected) in table {
        assert_eq!(both(&rule, &[]), expected, "{rule:?}");
        // Where some are, Envoy cannot tell: never in ALLOW, always in DENY.
        assert_eq!(both(&rule, &taken), (1, 0, 1), "{rule:?}");
    }
}

#[test]
fn the_original_client_is_the_peer_whatever_a_header_says() {
    let block = IpBlock::parse("203.0.113.0/24").unwrap();
    let rule = from(Source {
        remote_ip_blocks: vec![block],
        ..Source::default()
    });
    let authorization = Authorization {
        allow: policy(rule),
        ..Authorization::default()
    };
    let rules = rules(&told(authorization, vec![]));
    let made = rules[0].policies.values().next().unwrap();
    let identifier = made.principals[0].identifier.as_ref().unwrap();
    assert!(
        matches!(identifier, rbac::principal::Identifier::DirectRemoteIp(_)),
        "{identifier:?}"
    );
}

#[test]
fn any_server_name_is_not_an_empty_one() {
    let authorization = Authorization {
        allow: policy(when("connection.sni", &[TextMatch::Present], &[])),
        ..Authorization::default()
    };
    let rules = rules(&told(authorization, vec![]));
    let made = rules[0].policies.values().next().unwrap();
    let Some(rbac::permission::Rule::RequestedServerName(name)) = &made.permissions[0].rule else {
        panic!("{made:?}")
    };
    let Some(MatchPattern::SafeRegex(expression)) = &name.match_pattern else {
        panic!("{name:?}")
    };
    assert_eq!(expression.regex, "(?s).+");
}
