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
    Authorization, Inbound, InboundPort, Locality, MtlsMode, Policy, PolicyRule, Protocol, Source, TextMatch,
    TokenRule, Workload,
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
    let anybody_with_a_token = Source {
        request_principals: vec![TextMatch::Present],
        ..Source::default()
    };
    let policy = Policy {
        origin: object("tokens"),
        rules: vec![PolicyRule {
            from: vec![anybody_with_a_token],
            ..PolicyRule::default()
        }],
    };
    let compared = Inbound {
        authorization: Authorization {
            allow: vec![policy],
            ..Authorization::default()
        },
        ..inbound(MtlsMode::Strict)
    };
    let refused = told(&compared, Some("default"));
    assert!(listeners(&refused).is_empty());
    assert_eq!(
        gaps(&refused),
        ["a policy compares what a token says, or gRPC's own headers: the server takes no connection"]
    );
    let without = told(&inbound(MtlsMode::Strict), None);
    assert!(
        listeners(&without).is_empty(),
        "it has nothing to secure them with"
    );
}
