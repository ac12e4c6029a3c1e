//! Connections that carry HTTP.

use envoy_types::pb::envoy::config::listener::v3::Filter;
use envoy_types::pb::envoy::extensions::filters::http::cors::v3::Cors;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::HttpFault;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::http::stateful_session::v3::StatefulSession;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as xds;
use prost::{Message, Name};
use xds::http_connection_manager::{
    CodecType, ForwardClientCertDetails, InternalAddressConfig, PathWithEscapedSlashesAction, RouteSpecifier,
    ServerHeaderTransformation, UpgradeConfig,
};

use super::network_filter;
use crate::cluster::http1;
use crate::proto::{ads, any, flag, unlimited};
use crate::route;

/// A manager that changes and adds as little as Envoy can be told to.
pub(super) fn manager(
    codec: CodecType,
    routes: RouteSpecifier,
    http_filters: Vec<xds::HttpFilter>,
) -> xds::HttpConnectionManager {
    xds::HttpConnectionManager {
        codec_type: codec.into(),
        stat_prefix: "http".to_owned(),
        http_filters,
        http_protocol_options: Some(http1()),
        server_header_transformation: ServerHeaderTransformation::PassThrough.into(),
        stream_idle_timeout: unlimited(),
        use_remote_address: flag(false),
        // Nobody's word is taken for where a request comes from.
        internal_address_config: Some(InternalAddressConfig::default()),
        skip_xff_append: true,
        generate_request_id: flag(false),
        preserve_external_request_id: true,
        forward_client_cert_details: ForwardClientCertDetails::AlwaysForwardOnly.into(),
        upgrade_configs: vec![UpgradeConfig {
            upgrade_type: "websocket".to_owned(),
            ..Default::default()
        }],
        normalize_path: flag(false),
        path_with_escaped_slashes_action: PathWithEscapedSlashesAction::KeepUnchanged.into(),
        route_specifier: Some(routes),
        ..Default::default()
    }
}

/// Routes by the stream, under this name.
pub(super) fn by_name(name: &str) -> RouteSpecifier {
    RouteSpecifier::Rds(xds::Rds {
        config_source: ads(),
        route_config_name: name.to_owned(),
    })
}

/// What requests of the workload pass. Always all of them: a change of routes changes no listener.
pub(super) fn outbound_filters() -> Vec<xds::HttpFilter> {
    vec![
        http_filter(route::CORS, &Cors {}),
        http_filter(route::FAULT, &HttpFault::default()),
        http_filter(route::SESSION, &StatefulSession::default()),
        router(),
    ]
}

pub(crate) fn router() -> xds::HttpFilter {
    let router = Router {
        suppress_envoy_headers: true,
        ..Default::default()
    };
    http_filter("envoy.filters.http.router", &router)
}

pub(crate) fn http_filter<M: Message + Name>(name: &str, config: &M) -> xds::HttpFilter {
    xds::HttpFilter {
        name: name.to_owned(),
        config_type: Some(xds::http_filter::ConfigType::TypedConfig(any(config))),
        ..Default::default()
    }
}

pub(super) fn filter(manager: &xds::HttpConnectionManager) -> Filter {
    network_filter("envoy.filters.network.http_connection_manager", manager)
}
