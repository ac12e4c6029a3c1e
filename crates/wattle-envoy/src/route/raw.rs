//! Route configurations as bytes: maps of more than one entry would be written in any order, so that they are written
//! apart, sorted, behind the message they belong to. Protobuf puts both together again.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::route::v3 as xds;
use envoy_types::pb::google::protobuf::Any;
use prost::{Message, Name};

use crate::proto::any;

/// A route, with what it says to filters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Made {
    pub(crate) route: xds::Route,
    filters: BTreeMap<String, Any>,
}

/// A virtual host to be written.
pub(crate) struct Host {
    pub(crate) domain: String,
    pub(crate) routes: Vec<Made>,
}

/// The field `typed_per_filter_config` of a route.
#[derive(Clone, PartialEq, prost::Message)]
struct PerFilter {
    #[prost(btree_map = "string, message", tag = "13")]
    filters: BTreeMap<String, Any>,
}

/// The field `routes` of a virtual host.
#[derive(Clone, PartialEq, prost::Message)]
struct Routes {
    #[prost(bytes = "vec", repeated, tag = "3")]
    routes: Vec<Vec<u8>>,
}

/// The field `virtual_hosts` of a route configuration.
#[derive(Clone, PartialEq, prost::Message)]
struct VirtualHosts {
    #[prost(bytes = "vec", repeated, tag = "2")]
    virtual_hosts: Vec<Vec<u8>>,
}

impl Made {
    pub(crate) fn new(route: xds::Route) -> Self {
        Self {
            route,
            filters: BTreeMap::new(),
        }
    }

    /// What a filter does on this route.
    pub(crate) fn tell<M: Message + Name>(&mut self, filter: &str, config: &M) {
        self.filters.insert(filter.to_owned(), any(config));
    }

    fn bytes(self) -> Vec<u8> {
        joined(
            &self.route,
            &PerFilter {
                filters: self.filters,
            },
        )
    }
}

impl Host {
    fn bytes(self) -> Vec<u8> {
        let head = xds::VirtualHost {
            name: self.domain.clone(),
            domains: vec![self.domain],
            ..Default::default()
        };
        let routes = self.routes.into_iter().map(Made::bytes).collect();
        joined(&head, &Routes { routes })
    }
}

/// A configuration of these hosts.
pub(crate) fn configuration(head: xds::RouteConfiguration, hosts: Vec<Host>) -> Vec<u8> {
    let virtual_hosts = hosts.into_iter().map(Host::bytes).collect();
    joined(&head, &VirtualHosts { virtual_hosts })
}

fn joined(head: &impl Message, rest: &impl Message) -> Vec<u8> {
    let mut bytes = head.encode_to_vec();
    bytes.extend(rest.encode_to_vec());
    bytes
}
