//! Listeners.

use std::sync::Arc;

use envoy_types::pb::envoy::config::listener::v3 as xds;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::{
    TcpProxy, tcp_proxy::ClusterSpecifier,
};
use prost::Message as _;
use wattle_envoy::{Kind, Others};
use wattle_model::{
    Access, Backend, CallerScope, ConnectionMatch, ConnectionRoute, Destination, HostMatch, Inbound,
    InboundPort, IpBlock, MtlsMode, Protocol, Reason, RuleRef, WeightedBackend,
};

use crate::support::decoded;
use crate::support::mesh::{Mesh, anywhere, backend, destination, object, to};

fn at() -> std::net::SocketAddr {
    ([10, 0, 0, 1], 443).into()
}

/// The cluster that a chain's opaque connections go to.
fn carried(chain: &xds::FilterChain) -> String {
    let Some(xds::filter::ConfigType::TypedConfig(config)) = &chain.filters.last().unwrap().config_type
    else {
        panic!()
    };
    assert!(config.type_url.ends_with("TcpProxy"), "{}", config.type_url);
    match TcpProxy::decode(&*config.value)
        .unwrap()
        .cluster_specifier
        .unwrap()
    {
        ClusterSpecifier::Cluster(name) => name,
        other => panic!("{other:?}"),
    }
}

fn listener(destination: Destination) -> xds::Listener {
    let mut mesh = Mesh::default();
    let name = format!("outbound|{}", destination.name);
    mesh.add(destination);
    decoded(&mesh.encode(), Kind::Listener, &name)
}

fn named(names: &[&str], backends: Vec<WeightedBackend>) -> ConnectionRoute {
    ConnectionRoute {
        origin: RuleRef {
            object: object("tls"),
            rule: 0,
            matched: 0,
            name: "".into(),
        },
        matches: ConnectionMatch {
            server_names: names.iter().map(|name| HostMatch::parse(name)).collect(),
            ..ConnectionMatch::default()
        },
        backends,
    }
}

#[test]
fn the_first_route_in_order_that_covers_a_server_name_has_it() {
    let connections = vec![
        named(&["*.test"], vec![to(0, 1)]),
        named(&["a.test", "b.other"], vec![to(1, 1)]),
    ];
    let told = listener(Destination {
        connections,
        ..destination(at(), Protocol::Tls, vec![backend("one:80"), backend("two:80")])
    });
    let chains: Vec<_> = told
        .filter_chains
        .iter()
        .map(|chain| (&*chain.name, carried(chain)))
        .collect();
    let (one, two) = ("one:80|tcp".to_owned(), "two:80|tcp".to_owned());
    assert_eq!(
        chains,
        [("*.test", one.clone()), ("a.test", one), ("b.other", two)]
    );
    assert_eq!(carried(told.default_filter_chain.as_ref().unwrap()), "blackhole");
}

#[test]
fn a_declared_protocol_is_never_guessed() {
    let filters = |protocol| {
        let told = listener(destination(at(), protocol, vec![backend("one:80")]));
        told.listener_filters.len()
    };
    assert_eq!((filters(Protocol::Tcp), filters(Protocol::Tls)), (0, 0));
    assert_eq!((filters(Protocol::Http1), filters(Protocol::Detect)), (1, 1));
}

#[test]
fn a_listener_of_an_address_does_not_bind() {
    let told = listener(destination(at(), Protocol::Tcp, vec![backend("one:80")]));
    assert_eq!(told.bind_to_port.map(|bind| bind.value), Some(false));
}

#[test]
fn what_may_not_be_reached_is_closed_and_what_is_out_of_scope_is_carried_as_dialled() {
    let scoped = |access| {
        let scopes = vec![CallerScope {
            labels: vec![],
            origin: object("scope"),
            access,
        }];
        let told = listener(Destination {
            scopes,
            ..destination(at(), Protocol::Tcp, vec![backend("one:80")])
        });
        carried(told.default_filter_chain.as_ref().unwrap())
    };
    assert_eq!(scoped(Access::Full), "one:80|tcp");
    assert_eq!(scoped(Access::Refused(Reason::EgressNotAllowed)), "blackhole");
    assert_eq!(scoped(Access::PassThrough), "original|tcp");
}

#[test]
fn what_no_destination_names_is_refused_unless_it_is_said_to_be_carried() {
    let carried_to = |mesh: Mesh| {
        let told: xds::Listener = decoded(&mesh.encode(), Kind::Listener, "outbound");
        assert_eq!(carried(&told.filter_chains[0]), "blackhole", "its own port");
        carried(told.default_filter_chain.as_ref().unwrap())
    };
    assert_eq!(carried_to(Mesh::default()), "blackhole");
    let open = Destination {
        backends: vec![Backend::default()],
        default_backend: Some(0),
        ..Destination::default()
    };
    assert_eq!(
        carried_to(Mesh {
            others: anywhere(open.clone()),
            ..Mesh::default()
        }),
        "original|tcp"
    );
    let scopes = vec![CallerScope {
        labels: vec![],
        origin: object("s"),
        access: Access::Refused(Reason::UnknownDestination),
    }];
    assert_eq!(
        carried_to(Mesh {
            others: anywhere(Destination { scopes, ..open }),
            ..Mesh::default()
        }),
        "blackhole"
    );
}

#[test]
fn blocks_of_unknown_addresses_are_told_apart() {
    let open = Destination {
        backends: vec![Backend::default()],
        default_backend: Some(0),
        ..Destination::default()
    };
    let refused = Destination {
        scopes: vec![CallerScope {
            labels: vec![],
            origin: object("s"),
            access: Access::Refused(Reason::PolicyDenied),
        }],
        ..open.clone()
    };
    let block =
        |text, destination: &Destination| (IpBlock::parse(text).unwrap(), Arc::new(destination.clone()));
    let mesh = Mesh {
        others: Others {
            blocks: vec![
                block("198.51.100.0/24", &refused),
                block("198.51.100.8/32", &open),
            ],
            ..anywhere(open)
        },
        ..Mesh::default()
    };
    let told: xds::Listener = decoded(&mesh.encode(), Kind::Listener, "outbound");
    let chains = told.filter_chains.iter().filter_map(|chain| {
        let block = chain.filter_chain_match.as_ref()?.prefix_ranges.first()?;
        let length = block.prefix_len.unwrap_or_default().value;
        Some((format!("{}/{length}", block.address_prefix), carried(chain)))
    });
    assert_eq!(
        chains.collect::<Vec<_>>(),
        [
            ("198.51.100.0/24".to_owned(), "blackhole".to_owned()),
            ("198.51.100.8/32".to_owned(), "original|tcp".to_owned())
        ]
    );
    assert_eq!(
        carried(told.default_filter_chain.as_ref().unwrap()),
        "original|tcp"
    );
}

#[test]
fn a_strict_port_takes_mutual_tls_alone() {
    let port = |mtls| InboundPort {
        port: 80,
        protocol: Protocol::Tcp,
        mtls,
        mtls_origin: None,
        service: None,
        target: None,
    };
    let clear = |mtls| {
        let inbound = Inbound {
            ports: vec![port(mtls)],
            mtls: MtlsMode::Strict,
            ..Inbound::default()
        };
        let told: xds::Listener = decoded(
            &Mesh {
                inbound: Some(inbound),
                ..Mesh::default()
            }
            .encode(),
            Kind::Listener,
            "inbound",
        );
        assert_eq!(carried(told.default_filter_chain.as_ref().unwrap()), "blackhole");
        let of_port = told.filter_chains.into_iter().filter(|chain| {
            let matched = chain.filter_chain_match.as_ref().unwrap();
            matched.destination_port.is_some_and(|port| port.value == 80)
        });
        of_port.filter(|chain| chain.transport_socket.is_none()).count()
    };
    assert_eq!(clear(MtlsMode::Strict), 0);
    assert_eq!((clear(MtlsMode::Permissive), clear(MtlsMode::Disable)), (2, 2));
}
