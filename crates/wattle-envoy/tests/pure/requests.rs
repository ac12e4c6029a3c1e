//! Authorization of requests.

use envoy_types::pb::envoy::config::listener::v3 as xds;
use envoy_types::pb::envoy::config::rbac::v3 as rbac;
use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::Rbac as HttpRbac;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use prost::Message as _;
use wattle_envoy::{Kind, Resources};
use wattle_model::{
    Attribute, Authorization, Condition, Inbound, IpBlock, Policy, PolicyRule, Source, TextMatch,
};

use crate::support::decoded;
use crate::support::mesh::{Mesh, object};

/// The rules for requests that come by a filter chain of this name.
fn rules(told: &Resources, chain: &str) -> Vec<rbac::Rbac> {
    let listener: xds::Listener = decoded(told, Kind::Listener, "inbound");
    let mut chains = listener.filter_chains.iter();
    let chain = chains.find(|each| each.name == chain).unwrap();
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

fn told(authorization: Authorization) -> Resources {
    let inbound = Inbound {
        name: "shop/web".into(),
        authorization,
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
fn the_original_client_is_heard_from_peers_of_the_mesh_alone() {
    let block = IpBlock::parse("203.0.113.0/24").unwrap();
    let rule = from(Source {
        remote_ip_blocks: vec![block],
        ..Source::default()
    });
    let authorization = Authorization {
        allow: policy(rule),
        ..Authorization::default()
    };
    let told = told(authorization);
    let address = |chain: &str| {
        let rules = rules(&told, chain);
        let made = rules[0].policies.values().next().unwrap();
        made.principals[0].identifier.clone().unwrap()
    };
    use rbac::principal::Identifier::{DirectRemoteIp, RemoteIp};
    assert!(matches!(address("other|mesh-http/1"), RemoteIp(_)));
    assert!(matches!(address("other|http/1"), DirectRemoteIp(_)));
}

#[test]
fn any_server_name_is_not_an_empty_one() {
    let authorization = Authorization {
        allow: policy(when("connection.sni", &[TextMatch::Present], &[])),
        ..Authorization::default()
    };
    let rules = rules(&told(authorization), "other|mesh-http/1");
    let made = rules[0].policies.values().next().unwrap();
    let Some(rbac::permission::Rule::RequestedServerName(name)) = &made.permissions[0].rule else {
        panic!("{made:?}")
    };
    let Some(MatchPattern::SafeRegex(expression)) = &name.match_pattern else {
        panic!("{name:?}")
    };
    assert_eq!(expression.regex, "(?s).+");
}
