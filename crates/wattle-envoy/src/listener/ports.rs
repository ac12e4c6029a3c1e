//! The chains of one port of the workload, declared or not.

use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain};
use envoy_types::pb::envoy::config::route::v3 as route;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::UpstreamConnectMode;
use hcm::http_connection_manager::{
    CodecType, ForwardClientCertDetails, PathWithEscapedSlashesAction, RouteSpecifier,
    SetCurrentClientCertDetails,
};
use wattle_model::{EffectivePort, Inbound, MtlsMode, PathNormalization, Protocol, Reason};

use super::chain::{Looks, mutual_tls};
use super::inbound::APPLICATION;
use super::{HTTP1, HTTP2, limit, tcp};
use crate::cluster::Secrets;
use crate::notes::Notes;
use crate::proto::{flag, inline, number, unlimited};
use crate::rbac::Policies;

/// Bytes of a client that are kept until the application is dialled, where policy is asked first.
const EARLY: u32 = 64 * 1024;

/// A port of the workload, or all that are not declared.
pub(super) struct Port<'a> {
    number: Option<u16>,
    pub(super) effective: EffectivePort<'a>,
    inbound: &'a Inbound,
}

/// A chain's name, where its connections come from and how they are secured.
struct Entrance<'a> {
    name: &'a str,
    looks: Looks<'a>,
    socket: Option<&'a TransportSocket>,
}

impl<'a> Port<'a> {
    pub(super) fn new(inbound: &'a Inbound, number: Option<u16>) -> Self {
        // No port has number 0: it stands for those that are not declared.
        let effective = inbound.port(number.unwrap_or_default());
        Self {
            number,
            effective,
            inbound,
        }
    }

    /// The cluster of the application there.
    pub(super) fn cluster(&self) -> String {
        match (self.effective.target, self.number) {
            (Some(_), Some(number)) => format!("{APPLICATION}|{number}"),
            _ => APPLICATION.to_owned(),
        }
    }

    fn is_strict(&self) -> bool {
        self.effective.mtls == MtlsMode::Strict
    }
}

/// All chains of a port.
pub(super) fn chains(port: &Port<'_>, secrets: &Secrets, notes: &mut Notes) -> Vec<FilterChain> {
    let socket = mutual_tls(secrets);
    limit::note(port.inbound, port.number, notes);
    super::tokens::note(port.inbound, notes);
    let policies = Policies::new(&port.inbound.authorization, port.number, notes);
    let meshed = |codec| requests(port, &policies, codec, true);
    let http = |codec| requests(port, &policies, codec, false);
    let opaque = || connections(port, &policies);
    let declared = port.effective.protocol;
    let tls = |name, protocols| port.entrance(name, "tls", protocols, Some(&socket));
    let mut chains = vec![
        tls("mesh-http/2", &["istio-h2"][..]).chain(meshed(CodecType::Http2)),
        tls("mesh-http/1", &["istio-http/1.1", "istio-http/1.0"]).chain(meshed(CodecType::Http1)),
        tls("mesh-tcp", &["istio", "istio-peer-exchange"]).chain(opaque()),
    ];
    if port.is_strict() {
        // The peer named no protocol of the mesh: the declared one.
        let filters = if declared.is_http() {
            meshed(CodecType::Auto)
        } else {
            opaque()
        };
        if declared == Protocol::Detect {
            notes.at(None, &port.inbound.name);
            notes.gap("mutual TLS without a protocol of the mesh, on a port whose protocol is not declared: opaque bytes");
        }
        chains.push(tls("mesh-other", &[]).chain(filters));
        chains.extend(port.strict_plaintext());
        return chains;
    }
    let clear = |name, protocols| port.entrance(name, "raw_buffer", protocols, None);
    let own_tls = port.entrance("own-tls", "tls", &[], None);
    match declared {
        Protocol::Tcp | Protocol::Tls => {
            chains.push(own_tls.chain(opaque()));
            chains.push(clear("tcp", &[]).chain(opaque()));
        }
        // Declared HTTP is never taken for opaque: it would slip past policies about requests.
        Protocol::Http1 | Protocol::Http2 | Protocol::Grpc => {
            // The application speaks in the clear: TLS is the mesh's, whatever its client offers, where there is any.
            chains.push(match port.effective.mtls {
                MtlsMode::Disable => own_tls.chain(http(CodecType::Auto)),
                MtlsMode::Permissive | MtlsMode::Strict => {
                    tls("mesh-other", &[]).chain(meshed(CodecType::Auto))
                }
            });
            chains.push(clear("http", &[]).chain(http(CodecType::Auto)));
        }
        Protocol::Detect => {
            chains.push(own_tls.chain(opaque()));
            chains.push(clear("http/1", &HTTP1).chain(http(CodecType::Http1)));
            chains.push(clear("http/2", &[HTTP2]).chain(http(CodecType::Http2)));
            chains.push(clear("tcp", &[]).chain(opaque()));
        }
    }
    chains
}

impl<'a> Port<'a> {
    fn entrance(
        &self,
        name: &'a str,
        transport: &'a str,
        protocols: &'a [&'a str],
        socket: Option<&'a TransportSocket>,
    ) -> Entrance<'a> {
        Entrance {
            name,
            looks: Looks {
                port: self.number,
                transport,
                protocols,
                ..Default::default()
            },
            socket,
        }
    }

    /// Requests in the clear are told why they are refused; other connections are closed.
    fn strict_plaintext(&self) -> Vec<FilterChain> {
        let refused = || vec![super::hcm::filter(&refusing(Reason::MtlsRequired))];
        let clear = |protocols| self.entrance("refused", "raw_buffer", protocols, None);
        match self.effective.protocol {
            Protocol::Tcp | Protocol::Tls => Vec::new(),
            Protocol::Http1 | Protocol::Http2 | Protocol::Grpc => vec![clear(&[]).chain(refused())],
            Protocol::Detect => vec![clear(&["http/1.0", "http/1.1", "h2c"]).chain(refused())],
        }
    }
}

impl Entrance<'_> {
    fn chain(&self, filters: Vec<Filter>) -> FilterChain {
        let port = self
            .looks
            .port
            .map_or_else(|| "other".to_owned(), |port| port.to_string());
        FilterChain {
            transport_socket: self.socket.cloned(),
            ..self.looks.chain(&format!("{port}|{}", self.name), filters)
        }
    }
}

/// Opaque connections to the application, as policy lets them in.
fn connections(port: &Port<'_>, policies: &Policies<'_>) -> Vec<Filter> {
    let mut filters = policies.connections();
    let mut proxy = tcp::plain(&port.cluster());
    if !filters.is_empty() {
        // Policy is asked when the client speaks: until then the application is not dialled, so that it tells nobody
        // anything who may not hear it.
        proxy.upstream_connect_mode = UpstreamConnectMode::OnDownstreamData.into();
        proxy.max_early_data_bytes = number(EARLY);
    }
    filters.push(tcp::filter(&proxy));
    filters
}

/// Requests to the application, as policy lets them in.
fn requests(port: &Port<'_>, policies: &Policies<'_>, codec: CodecType, meshed: bool) -> Vec<Filter> {
    let to = route::RouteAction {
        cluster_specifier: Some(route::route_action::ClusterSpecifier::Cluster(port.cluster())),
        timeout: unlimited(),
        idle_timeout: unlimited(),
        ..Default::default()
    };
    // Policies compare what the tokens prove.
    let mut filters = super::tokens::filters(&port.inbound.tokens);
    filters.extend(policies.requests(meshed));
    filters.extend(limit::filters(port.inbound, port.number));
    filters.push(super::router());
    let routes = everything(route::route::Action::Route(to));
    let mut manager = introduced(super::hcm::manager(codec, routes, filters));
    // What policy compares is what the application gets, and no odd spelling may be a way around it.
    let form = match policies.asks_for_paths() {
        true => PathNormalization::DecodeAndMergeSlashes,
        false => port.inbound.paths,
    };
    manager.normalize_path = flag(form >= PathNormalization::Base);
    manager.merge_slashes = form >= PathNormalization::MergeSlashes;
    if form == PathNormalization::DecodeAndMergeSlashes {
        manager.path_with_escaped_slashes_action = PathWithEscapedSlashesAction::UnescapeAndForward.into();
    }
    vec![super::hcm::filter(&manager)]
}

fn refusing(reason: Reason) -> hcm::HttpConnectionManager {
    let routes = everything(route::route::Action::DirectResponse(
        route::DirectResponseAction {
            status: reason.status().into(),
            body: Some(inline(&format!("{}\n", reason.sentence()))),
            ..Default::default()
        },
    ));
    introduced(super::hcm::manager(
        CodecType::Auto,
        routes,
        vec![super::router()],
    ))
}

/// Tells the application who the peer is; what the peer itself said of it goes.
fn introduced(manager: hcm::HttpConnectionManager) -> hcm::HttpConnectionManager {
    hcm::HttpConnectionManager {
        forward_client_cert_details: ForwardClientCertDetails::SanitizeSet.into(),
        set_current_client_cert_details: Some(SetCurrentClientCertDetails {
            uri: true,
            ..Default::default()
        }),
        ..manager
    }
}

/// One action for every request.
fn everything(action: route::route::Action) -> RouteSpecifier {
    let all = route::Route {
        r#match: Some(route::RouteMatch {
            path_specifier: Some(route::route_match::PathSpecifier::Prefix("/".to_owned())),
            ..Default::default()
        }),
        action: Some(action),
        ..Default::default()
    };
    RouteSpecifier::RouteConfig(route::RouteConfiguration {
        name: "inbound".to_owned(),
        validate_clusters: flag(false),
        virtual_hosts: vec![route::VirtualHost {
            name: "*".to_owned(),
            domains: vec!["*".to_owned()],
            routes: vec![all],
            ..Default::default()
        }],
        ..Default::default()
    })
}
