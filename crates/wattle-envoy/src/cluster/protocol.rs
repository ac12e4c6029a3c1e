//! HTTP towards endpoints: the version, and how much one connection is used.

use std::collections::HashMap;
use std::time::Duration;

use core::http1_protocol_options::{HeaderKeyFormat, header_key_format::HeaderFormat};
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::http::header_formatters::preserve_case::v3::PreserveCaseFormatterConfig;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options as options;
use envoy_types::pb::google::protobuf::Any;
use options::explicit_http_config::ProtocolConfig;
use options::{AutoHttpConfig, ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig};
use wattle_model::traffic::{HttpVersion, UpstreamTls};
use wattle_model::{BackendPolicy, Limits};

use super::Wire;
use crate::proto::{any, duration, extension, number};

/// Time after which an idle HTTP connection is closed, where the policy says nothing.
const HTTP_IDLE: Duration = Duration::from_secs(60);
/// Where Envoy looks for these options.
const NAME: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// The options of a cluster that this is spoken to; none for opaque bytes.
pub(super) fn options(policy: &BackendPolicy, wire: Wire) -> HashMap<String, Any> {
    let upgraded = policy.http_version == HttpVersion::Http2;
    let outside = matches!(policy.tls, UpstreamTls::Origination { .. });
    let chosen = match wire {
        // A tunnel is asked for by HTTP/1.1.
        Wire::Opaque if policy.tunnel.is_some() => explicit_http1(),
        Wire::Opaque => return HashMap::new(),
        Wire::Http1 if !upgraded => explicit_http1(),
        Wire::Http1 | Wire::Http2 if outside => UpstreamProtocolOptions::AutoConfig(AutoHttpConfig {
            http_protocol_options: Some(http1()),
            http2_protocol_options: Some(http2(&policy.limits)),
            ..Default::default()
        }),
        Wire::Http1 | Wire::Http2 => UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig {
            protocol_config: Some(ProtocolConfig::Http2ProtocolOptions(http2(&policy.limits))),
        }),
    };
    named(&policy.limits, chosen)
}

/// The client's own version, for the application behind an inbound listener.
pub(crate) fn as_sent(limits: &Limits) -> HashMap<String, Any> {
    let chosen = UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
        http_protocol_options: Some(http1()),
        http2_protocol_options: Some(http2(limits)),
        ..Default::default()
    });
    named(limits, chosen)
}

fn named(limits: &Limits, chosen: UpstreamProtocolOptions) -> HashMap<String, Any> {
    let options = HttpProtocolOptions {
        common_http_protocol_options: Some(core::HttpProtocolOptions {
            idle_timeout: Some(duration(limits.http_idle.unwrap_or(HTTP_IDLE))),
            max_connection_duration: limits.connection_life.map(duration),
            max_requests_per_connection: limits.requests_per_connection.and_then(number),
            ..Default::default()
        }),
        upstream_protocol_options: Some(chosen),
        ..Default::default()
    };
    HashMap::from([(NAME.to_owned(), any(&options))])
}

fn explicit_http1() -> UpstreamProtocolOptions {
    UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig {
        protocol_config: Some(ProtocolConfig::HttpProtocolOptions(http1())),
    })
}

/// HTTP/1 with names of headers as they were spelt.
pub(crate) fn http1() -> core::Http1ProtocolOptions {
    let spelling = extension(
        "envoy.http.stateful_header_formatters.preserve_case",
        &PreserveCaseFormatterConfig::default(),
    );
    core::Http1ProtocolOptions {
        accept_http_10: true,
        default_host_for_http_10: "localhost".to_owned(),
        enable_trailers: true,
        header_key_format: Some(HeaderKeyFormat {
            header_format: Some(HeaderFormat::StatefulFormatter(spelling)),
        }),
        ..Default::default()
    }
}

fn http2(limits: &Limits) -> core::Http2ProtocolOptions {
    core::Http2ProtocolOptions {
        max_concurrent_streams: limits
            .concurrent_streams
            .and_then(|streams| number(streams.clamp(1, i32::MAX as u32))),
        ..Default::default()
    }
}
