//! Small messages that many others are made of.

use std::net::{IpAddr, SocketAddr};

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::r#type::v3 as kind;
use envoy_types::pb::google::protobuf::{Any, BoolValue, Duration, UInt32Value, UInt64Value};
use prost::{Message, Name};
use wattle_model::{Chance, IpBlock};

use core::config_source::ConfigSourceSpecifier;

/// Longest time Envoy takes.
const LONGEST_SECONDS: u64 = 315_576_000;

pub(crate) fn any<M: Message + Name>(message: &M) -> Any {
    Any {
        type_url: M::type_url(),
        value: message.encode_to_vec(),
    }
}

pub(crate) fn duration(time: std::time::Duration) -> Duration {
    Duration {
        seconds: time.as_secs().min(LONGEST_SECONDS) as i64,
        nanos: time.subsec_nanos() as i32,
    }
}

/// What Envoy takes for "no limit".
pub(crate) fn unlimited() -> Option<Duration> {
    Some(Duration::default())
}

/// A limit, or none at all.
pub(crate) fn limit(time: Option<std::time::Duration>) -> Option<Duration> {
    time.map_or_else(unlimited, |time| Some(duration(time)))
}

pub(crate) fn number(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}

pub(crate) fn long(value: u64) -> Option<UInt64Value> {
    Some(UInt64Value { value })
}

pub(crate) fn flag(value: bool) -> Option<BoolValue> {
    Some(BoolValue { value })
}

pub(crate) fn socket_address(address: SocketAddr) -> core::SocketAddress {
    host_address(&address.ip().to_string(), address.port())
}

pub(crate) fn host_address(host: &str, port: u16) -> core::SocketAddress {
    core::SocketAddress {
        address: host.to_owned(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(port.into())),
        ..Default::default()
    }
}

pub(crate) fn address(address: SocketAddr) -> Option<core::Address> {
    wrapped(socket_address(address))
}

pub(crate) fn wrapped(address: core::SocketAddress) -> Option<core::Address> {
    Some(core::Address {
        address: Some(core::address::Address::SocketAddress(address)),
    })
}

/// "By the stream this came on."
pub(crate) fn ads() -> Option<core::ConfigSource> {
    Some(core::ConfigSource {
        resource_api_version: core::ApiVersion::V3.into(),
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(core::AggregatedConfigSource {})),
        ..Default::default()
    })
}

pub(crate) fn cidr(block: &IpBlock) -> core::CidrRange {
    core::CidrRange {
        address_prefix: block.address.to_string(),
        prefix_len: number(block.prefix_len.into()),
    }
}

/// A name that parses as an address.
pub(crate) fn as_ip(name: &str) -> Option<IpAddr> {
    name.parse().ok()
}

pub(crate) fn percent(value: f64) -> Option<kind::Percent> {
    Some(kind::Percent {
        value: value.clamp(0.0, 100.0),
    })
}

pub(crate) fn fraction(chance: Chance) -> kind::FractionalPercent {
    kind::FractionalPercent {
        numerator: chance.millionths(),
        denominator: kind::fractional_percent::DenominatorType::Million.into(),
    }
}

pub(crate) fn runtime_fraction(chance: Chance) -> Option<core::RuntimeFractionalPercent> {
    Some(core::RuntimeFractionalPercent {
        default_value: Some(fraction(chance)),
        runtime_key: String::new(),
    })
}

pub(crate) fn extension<M: Message + Name>(name: &str, config: &M) -> core::TypedExtensionConfig {
    core::TypedExtensionConfig {
        name: name.to_owned(),
        typed_config: Some(any(config)),
    }
}

pub(crate) fn transport_socket<M: Message + Name>(name: &str, config: &M) -> core::TransportSocket {
    core::TransportSocket {
        name: name.to_owned(),
        config_type: Some(core::transport_socket::ConfigType::TypedConfig(any(config))),
    }
}

pub(crate) fn inline(text: &str) -> core::DataSource {
    source(core::data_source::Specifier::InlineString(text.to_owned()))
}

pub(crate) fn file(path: &str) -> core::DataSource {
    source(core::data_source::Specifier::Filename(path.to_owned()))
}

pub(crate) fn bytes(content: &[u8]) -> core::DataSource {
    source(core::data_source::Specifier::InlineBytes(content.to_vec()))
}

fn source(specifier: core::data_source::Specifier) -> core::DataSource {
    core::DataSource {
        specifier: Some(specifier),
        ..Default::default()
    }
}
