//! Programs that leave it to the mesh who may connect to them and call.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::config::listener::v3 as xds;
use envoy_types::pb::envoy::config::rbac::v3::rbac::Action::Allow;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::Rbac;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext;
use hcm::http_connection_manager::RouteSpecifier;
use prost::Message as _;
use wattle_envoy::{GrpcClient, Kind, Resources, Scene, Served};
use wattle_model::{
    Attribute, Authorization, Condition, Gate, GateRoute, HeaderMatch, Inbound, InboundPort, IpBlock,
    Locality, MtlsMode, Policy, PolicyRule, Protocol, RequestMatch, RuleRef, Source, TextMatch, TokenRule,
    Workload,
};

use crate::support::mesh::object;
use crate::support::{address, decoded};

const NAME: &str = "grpc/server?xds.resource.listening_address=[::]:9000";

fn inbound(mtls: MtlsMode) -> Inbound {
    Inbound {
        name: "shop/web".into(),
        ports: vec![InboundPort {
            port: 9000,
            protocol: Protocol::Grpc,
            mtls,
            mtls_origin: None,
            service: None,
            target: None,
        }],
        ..Inbound::default()
    }
}

fn told(inbound: &Inbound, certificates: Option<&str>) -> Resources {
    let client = GrpcClient {
        scene: Scene {
            workload: &Workload::default(),
            labels: &[],
            locality: &Locality::default(),
            destinations: &[],
            endpoints: &BTreeMap::new(),
        },
        certificates: certificates.map(Into::into),
        served: Some(Served {
            inbound,
            listeners: &[NAME.into(), "grpc/server?whatever".into()],
        }),
    };
    client.encode()
}

fn gaps(resources: &Resources) -> Vec<&str> {
    resources.gaps.iter().map(|gap| &*gap.reason).collect()
}

fn listeners(resources: &Resources) -> Vec<&Arc<str>> {
    let all = resources.resources.get(&Kind::Listener);
    all.into_iter().flat_map(BTreeMap::keys).collect()
}

fn listener(inbound: &Inbound) -> xds::Listener {
    decoded(&told(inbound, Some("default")), Kind::Listener, NAME)
}

/// How its connections are secured, if they are.
fn security(inbound: &Inbound) -> Option<DownstreamTlsContext> {
    let [chain] = &listener(inbound).filter_chains[..] else {
        panic!("one chain for all connections")
    };
    assert_eq!(chain.filter_chain_match, None);
    let ConfigType::TypedConfig(config) = chain.transport_socket.as_ref()?.config_type.as_ref()?;
    Some(DownstreamTlsContext::decode(&*config.value).unwrap())
}

fn manager(inbound: &Inbound) -> hcm::HttpConnectionManager {
    let listener = listener(inbound);
    let filter = &listener.filter_chains[0].filters[0];
    match filter.config_type.as_ref().unwrap() {
        xds::filter::ConfigType::TypedConfig(config) => {
            hcm::HttpConnectionManager::decode(&*config.value).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn whoever_connects_shows_a_certificate_unless_the_port_is_in_the_clear() {
    for mode in [MtlsMode::Strict, MtlsMode::Permissive] {
        let tls = security(&inbound(mode)).unwrap();
        assert_eq!(
            tls.require_client_certificate.map(|asked| asked.value),
            Some(true)
        );
        let common = tls.common_tls_context.unwrap();
        let own = common.tls_certificate_provider_instance.unwrap();
        assert_eq!(own.instance_name, "default");
        assert!(format!("{:?}", common.validation_context_type).contains("ROOTCA"));
    }
    assert_eq!(security(&inbound(MtlsMode::Disable)), None);
    let permissive = told(&inbound(MtlsMode::Permissive), Some("default"));
    assert_eq!(
        gaps(&permissive),
        ["a gRPC server cannot tell TLS from plaintext: mutual TLS alone is taken"]
    );
    assert_eq!(gaps(&told(&inbound(MtlsMode::Strict), Some("default"))), [""; 0]);
}

#[test]
fn it_answers_for_itself_where_it_asked_to_listen() {
    let inbound = inbound(MtlsMode::Strict);
    assert_eq!(listener(&inbound).address, address(([0; 8], 9000).into()));
    let Some(RouteSpecifier::RouteConfig(routes)) = manager(&inbound).route_specifier else {
        panic!("routes of its own")
    };
    let route = &routes.virtual_hosts[0].routes[0];
    assert!(matches!(route.action, Some(Action::NonForwardingAction(_))));
}

#[test]
fn only_names_of_its_own_trust_domain_get_in() {
    let inbound = Inbound {
        workload: Workload {
            trust_domain: "cluster.local".into(),
            ..Workload::default()
        },
        ..inbound(MtlsMode::Strict)
    };
    let filters = manager(&inbound).http_filters;
    let Some(hcm::http_filter::ConfigType::TypedConfig(config)) = &filters[0].config_type else {
        panic!("{filters:?}")
    };
    let rules = Rbac::decode(&*config.value).unwrap().rules.unwrap();
    assert_eq!(rules.action, Allow as i32);
    let only: Vec<_> = rules.policies.values().collect();
    let [policy] = only[..] else { panic!("{only:?}") };
    let principal = format!("{:?}", policy.principals);
    assert!(
        principal.contains("spiffe://cluster\\\\.local/ns/[^/]+/sa/[^/]+"),
        "{principal}"
    );
}

#[test]
fn policies_are_asked_before_a_call_is_answered() {
    let policy = |name: &str| Policy {
        origin: object(name),
        rules: vec![PolicyRule::default()],
    };
    let inbound = Inbound {
        authorization: Authorization {
            deny: vec![policy("deny")],
            allow: vec![policy("allow")],
            ..Authorization::default()
        },
        ..inbound(MtlsMode::Strict)
    };
    let filters = manager(&inbound).http_filters;
    let names: Vec<_> = filters.iter().map(|filter| &*filter.name).collect();
    assert_eq!(
        names,
        [
            "wattle.authentication",
            "wattle.authorization.deny",
            "wattle.authorization.allow",
            "envoy.filters.http.router"
        ]
    );
}

#[test]
fn what_it_cannot_hold_leaves_it_without_a_listener() {
    let tokens = Inbound {
        tokens: vec![TokenRule::bearer(object("tokens"))],
        ..inbound(MtlsMode::Strict)
    };
    let refused = told(&tokens, Some("default"));
    assert!(listeners(&refused).is_empty());
    assert_eq!(
        gaps(&refused),
        ["a gRPC server cannot verify tokens of requests: it takes no connection"]
    );
    let without = told(&inbound(MtlsMode::Strict), None);
    assert!(
        listeners(&without).is_empty(),
        "it has nothing to secure them with"
    );
}

/// Whether a server under this is told nothing, for the reason that it could not compare something.
fn is_left_out(authorization: Authorization) -> bool {
    let refused = told(
        &Inbound {
            authorization,
            ..inbound(MtlsMode::Strict)
        },
        Some("default"),
    );
    let is_why = gaps(&refused).contains(
        &"a policy compares what gRPC servers cannot: what a token says, remote addresses, the name asked for in TLS, the \
          scheme or gRPC's own headers: the server takes no connection",
    );
    assert_eq!(listeners(&refused).is_empty(), is_why, "{:?}", gaps(&refused));
    is_why
}

fn by(rule: PolicyRule) -> Policy {
    Policy {
        origin: object("policy"),
        rules: vec![rule],
    }
}

#[test]
fn a_policy_that_it_would_compare_otherwise_leaves_it_without_a_listener() {
    let block = IpBlock::parse("192.0.2.0/24").unwrap();
    let from = |source: Source| PolicyRule {
        from: vec![source],
        ..PolicyRule::default()
    };
    let when = |attribute: Attribute| PolicyRule {
        when: vec![Condition {
            attribute,
            values: vec![TextMatch::Present],
            not_values: Vec::new(),
            blocks: vec![block],
            not_blocks: Vec::new(),
        }],
        ..PolicyRule::default()
    };
    let beyond = [
        from(Source {
            request_principals: vec![TextMatch::Present],
            ..Source::default()
        }),
        from(Source {
            not_remote_ip_blocks: vec![block],
            ..Source::default()
        }),
        when(Attribute::RemoteIp),
        when(Attribute::ConnectionSni),
        when(Attribute::RequestHeader("grpc-timeout".parse().unwrap())),
    ];
    for rule in beyond {
        for (deny, allow) in [(true, false), (false, true)] {
            let policies = |wanted: bool| wanted.then(|| by(rule.clone())).into_iter().collect();
            let authorization = Authorization {
                deny: policies(deny),
                allow: policies(allow),
                ..Authorization::default()
            };
            assert!(is_left_out(authorization), "{rule:?}");
        }
    }
    let fine = Authorization {
        deny: vec![by(when(Attribute::RequestHeader("x-tenant".parse().unwrap())))],
        allow: vec![by(from(Source {
            ip_blocks: vec![block],
            ..Source::default()
        }))],
        ..Authorization::default()
    };
    assert!(!is_left_out(fine));
}

#[test]
fn routes_that_it_would_refuse_to_be_told_leave_it_without_a_listener() {
    let header = |name: &str| HeaderMatch {
        name: name.parse().unwrap(),
        value: TextMatch::Present,
        inverted: false,
    };
    let of_scheme = RequestMatch {
        scheme: Some(TextMatch::Exact("https".into())),
        ..RequestMatch::default()
    };
    let of_header = |name| RequestMatch {
        headers: vec![header(name)],
        ..RequestMatch::default()
    };
    for (matches, left_out) in [
        (of_scheme, true),
        (of_header("grpc-encoding"), true),
        (of_header("x-tenant"), false),
    ] {
        let route = GateRoute {
            origin: RuleRef {
                object: object("route"),
                rule: 0,
                matched: 0,
                name: "".into(),
            },
            matches,
            allow: vec![by(PolicyRule::default())],
        };
        let gate = Gate {
            origin: object("server"),
            port: Some(9000),
            allow: Vec::new(),
            routes: vec![route],
            audit: false,
        };
        let authorization = Authorization {
            gates: vec![gate],
            ..Authorization::default()
        };
        assert_eq!(is_left_out(authorization), left_out);
    }
}
