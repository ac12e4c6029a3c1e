//! Authorization.

use std::sync::Arc;

use envoy_types::pb::envoy::config::listener::v3 as xds;
use envoy_types::pb::envoy::config::rbac::v3 as rbac;
use envoy_types::pb::envoy::extensions::filters::network::rbac::v3::Rbac as NetworkRbac;
use prost::Message as _;
use wattle_envoy::{Kind, Resources};
use wattle_model::{
    Attribute, Authorization, Condition, Inbound, InboundPort, MtlsMode, Operation, Policy, PolicyRule,
    Protocol, Source, TextMatch,
};

use crate::support::decoded;
use crate::support::mesh::{Mesh, object};

fn resources(authorization: Authorization) -> Resources {
    let port = InboundPort {
        port: 80,
        protocol: Protocol::Tcp,
        mtls: MtlsMode::Permissive,
        mtls_origin: None,
        service: None,
        target: None,
    };
    let inbound = Inbound {
        name: "shop/web".into(),
        ports: vec![port],
        authorization,
        ..Inbound::default()
    };
    Mesh {
        inbound: Some(inbound),
        ..Mesh::default()
    }
    .encode()
}

/// The rules for opaque connections to port 80, in order.
fn rules(authorization: Authorization) -> Vec<rbac::Rbac> {
    let told: xds::Listener = decoded(&resources(authorization), Kind::Listener, "inbound");
    let chain = told
        .filter_chains
        .iter()
        .find(|chain| chain.name == "80|tcp")
        .unwrap();
    let filters = chain
        .filters
        .iter()
        .filter(|filter| filter.name.contains("authorization"));
    let config = |filter: &xds::Filter| match filter.config_type.as_ref().unwrap() {
        xds::filter::ConfigType::TypedConfig(config) => {
            NetworkRbac::decode(&*config.value).unwrap().rules.unwrap()
        }
        other => panic!("{other:?}"),
    };
    filters.map(config).collect()
}

fn policy(rules: Vec<PolicyRule>) -> Policy {
    Policy {
        origin: object("policy"),
        rules,
    }
}

fn both(rule: PolicyRule) -> (usize, usize) {
    let deny = rules(Authorization {
        deny: vec![policy(vec![rule.clone()])],
        allow: vec![],
        ..Authorization::default()
    });
    let allow = rules(Authorization {
        deny: vec![],
        allow: vec![policy(vec![rule])],
        ..Authorization::default()
    });
    (
        deny.first().map_or(0, |rules| rules.policies.len()),
        allow[0].policies.len(),
    )
}

#[test]
fn without_policies_there_is_no_gate() {
    assert_eq!(rules(Authorization::default()), vec![]);
}

#[test]
fn a_policy_without_rules_allows_nothing_and_denies_nothing() {
    let told = rules(Authorization {
        deny: vec![policy(vec![])],
        allow: vec![policy(vec![])],
        ..Authorization::default()
    });
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].action, told[0].policies.len()),
        (rbac::rbac::Action::Allow.into(), 0)
    );
}

#[test]
fn denials_are_asked_first() {
    let any = || vec![policy(vec![PolicyRule::default()])];
    let actions: Vec<_> = rules(Authorization {
        deny: any(),
        allow: any(),
        ..Authorization::default()
    })
    .iter()
    .map(|rules| rules.action)
    .collect();
    assert_eq!(
        actions,
        [
            i32::from(rbac::rbac::Action::Deny),
            rbac::rbac::Action::Allow.into()
        ]
    );
}

#[test]
fn on_connections_http_fields_never_match_in_allow_and_are_dropped_in_deny() {
    let operation = Operation {
        methods: vec![TextMatch::Exact("GET".into())],
        ..Operation::default()
    };
    assert_eq!(
        both(PolicyRule {
            to: vec![operation],
            ..PolicyRule::default()
        }),
        (1, 0)
    );
    let condition = Condition {
        attribute: Attribute::parse("request.headers[x-a]"),
        values: vec![TextMatch::Present],
        not_values: vec![],
        blocks: vec![],
        not_blocks: vec![],
    };
    assert_eq!(
        both(PolicyRule {
            when: vec![condition],
            ..PolicyRule::default()
        }),
        (1, 0)
    );
}

#[test]
fn what_cannot_be_said_holds_always_in_deny_and_never_in_allow_and_is_written_down() {
    let expression = TextMatch::Regex(wattle_model::Pattern::new("a/b|c").unwrap());
    let doubtful = Source {
        service_accounts: vec![expression],
        ..Source::default()
    };
    let rule = PolicyRule {
        from: vec![doubtful],
        ..PolicyRule::default()
    };
    assert_eq!(both(rule.clone()), (1, 0));
    assert_eq!(
        both(PolicyRule {
            unsupported: Some("x".into()),
            ..PolicyRule::default()
        }),
        (1, 0)
    );
    let unknown = Condition {
        attribute: Attribute::parse("request.auth.claims[iss]"),
        values: vec![TextMatch::Present],
        not_values: vec![],
        blocks: vec![],
        not_blocks: vec![],
    };
    assert_eq!(
        both(PolicyRule {
            when: vec![unknown],
            ..PolicyRule::default()
        }),
        (1, 0)
    );
    let told = resources(Authorization {
        deny: vec![],
        allow: vec![policy(vec![rule])],
        ..Authorization::default()
    });
    assert_eq!(told.gaps.len(), 1, "{:?}", told.gaps);
}

#[test]
fn what_must_not_hold_and_cannot_be_said_keeps_an_allow_rule_from_matching() {
    let expression = TextMatch::Regex(wattle_model::Pattern::new("a/b|c").unwrap());
    let doubtful = Source {
        not_service_accounts: vec![expression],
        ..Source::default()
    };
    assert_eq!(
        both(PolicyRule {
            from: vec![doubtful],
            ..PolicyRule::default()
        }),
        (1, 0)
    );
}

#[test]
fn under_policy_the_application_is_not_dialled_before_the_client_has_spoken() {
    use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::{
        TcpProxy, UpstreamConnectMode,
    };
    let any = vec![policy(vec![PolicyRule::default()])];
    let told: xds::Listener = decoded(
        &resources(Authorization {
            deny: vec![],
            allow: any,
            ..Authorization::default()
        }),
        Kind::Listener,
        "inbound",
    );
    let chain = told
        .filter_chains
        .iter()
        .find(|chain| chain.name == "80|tcp")
        .unwrap();
    let Some(xds::filter::ConfigType::TypedConfig(config)) = &chain.filters.last().unwrap().config_type
    else {
        panic!()
    };
    let mode = TcpProxy::decode(&*config.value).unwrap().upstream_connect_mode;
    assert_eq!(mode, i32::from(UpstreamConnectMode::OnDownstreamData));
}

#[test]
fn what_an_external_authorizer_would_be_asked_about_is_refused() {
    use wattle_model::{CheckProtocol, External, ExternalAuthorizer};
    let authorizer = ExternalAuthorizer {
        name: "opa".into(),
        service: "opa.infra.svc.cluster.local:9191".into(),
        protocol: CheckProtocol::Grpc,
        timeout: std::time::Duration::from_secs(5),
        fail_open: true,
        status_on_error: 403,
        body: None,
    };
    let asking = Authorization {
        external: vec![External {
            authorizer: authorizer.into(),
            policies: vec![policy(vec![PolicyRule::default()])],
        }],
        ..Authorization::default()
    };
    let told = rules(asking.clone());
    assert_eq!(
        (told.len(), told[0].action, told[0].policies.len()),
        (1, rbac::rbac::Action::Deny.into(), 1)
    );
    let gaps = resources(asking).gaps;
    assert!(
        gaps.iter().any(|gap| gap.reason.contains("opa is not asked")),
        "{gaps:?}"
    );
}

#[test]
fn policies_that_decide_nothing_make_no_rules_and_are_named() {
    let marking = || vec![policy(vec![PolicyRule::default()])];
    let deciding_nothing = Authorization {
        audit: marking(),
        dry_run: Some(Arc::new(Authorization {
            deny: marking(),
            ..Authorization::default()
        })),
        ..Authorization::default()
    };
    assert_eq!(rules(deciding_nothing.clone()), []);
    let gaps = resources(deciding_nothing).gaps;
    for wanted in ["does not mark", "does not record"] {
        let named = gaps.iter().any(|gap| gap.reason.contains(wanted));
        assert!(named, "{wanted}: {gaps:?}");
    }
}
