//! What the tests with a real Envoy share: resources as a static bootstrap, and a running Envoy.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs)]

pub mod keys;
pub mod mesh;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cluster::cluster::{ClusterDiscoveryType, DiscoveryType};
use envoy_types::pb::envoy::config::bootstrap::v3 as bootstrap;
use envoy_types::pb::envoy::config::cluster::v3 as cluster;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3 as listener;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::google::protobuf::{Any, BoolValue};
use hcm::http_connection_manager::RouteSpecifier;
use prost::{Message, Name};
use wattle_envoy::{Kind, Resources};
use wattle_testkit::{eventually, find_envoy};

/// Name of the cluster that certificates would come from.
pub const SECRETS: &str = "secrets";

/// The message of this kind and name.
pub fn decoded<M: Message + Default>(resources: &Resources, kind: Kind, name: &str) -> M {
    let found = resources.resources.get(&kind).and_then(|all| all.get(name));
    let found = found.unwrap_or_else(|| panic!("no {kind:?} {name}"));
    M::decode(found.body.clone()).unwrap()
}

fn all<M: Message + Default>(resources: &Resources, kind: Kind) -> Vec<M> {
    let all = resources.resources.get(&kind).into_iter().flatten();
    all.map(|(_, resource)| M::decode(resource.body.clone()).unwrap())
        .collect()
}

/// Everything as static resources; the listeners of single addresses bind if asked to.
pub fn bootstrap(resources: &Resources, binding: bool) -> bootstrap::Bootstrap {
    let clusters = all::<cluster::Cluster>(resources, Kind::Cluster);
    let clusters = clusters
        .into_iter()
        .map(|cluster| with_endpoints(cluster, resources));
    let listeners = all::<listener::Listener>(resources, Kind::Listener);
    // Nothing is redirected to it, and tests run side by side.
    let listeners = listeners
        .into_iter()
        .filter(|listener| !binding || listener.name != "outbound");
    let listeners = listeners.map(|mut listener| {
        let chains = listener
            .filter_chains
            .iter_mut()
            .chain(&mut listener.default_filter_chain);
        chains.for_each(|chain| with_routes(chain, resources));
        if binding {
            listener.bind_to_port = None;
        }
        listener
    });
    bootstrap::Bootstrap {
        node: Some(core::Node {
            id: "test".to_owned(),
            cluster: "test".to_owned(),
            ..Default::default()
        }),
        static_resources: Some(bootstrap::bootstrap::StaticResources {
            clusters: clusters.chain([secrets()]).collect(),
            listeners: listeners.collect(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn with_endpoints(mut cluster: cluster::Cluster, resources: &Resources) -> cluster::Cluster {
    if let Some(eds) = cluster.eds_cluster_config.take() {
        let mut assigned: ClusterLoadAssignment = decoded(resources, Kind::Endpoints, &eds.service_name);
        assigned.cluster_name = cluster.name.clone();
        cluster.load_assignment = Some(assigned);
        cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into()));
    }
    cluster
}

fn with_routes(chain: &mut listener::FilterChain, resources: &Resources) {
    for filter in &mut chain.filters {
        let Some(listener::filter::ConfigType::TypedConfig(config)) = &mut filter.config_type else {
            continue;
        };
        if config.type_url != hcm::HttpConnectionManager::type_url() {
            continue;
        }
        let mut manager = hcm::HttpConnectionManager::decode(&*config.value).unwrap();
        if let Some(RouteSpecifier::Rds(rds)) = &manager.route_specifier {
            let mut routes: RouteConfiguration = decoded(resources, Kind::Route, &rds.route_config_name);
            routes.validate_clusters = Some(BoolValue { value: false });
            manager.route_specifier = Some(RouteSpecifier::RouteConfig(routes));
        }
        config.value = manager.encode_to_vec();
    }
}

fn secrets() -> cluster::Cluster {
    cluster::Cluster {
        name: SECRETS.to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into())),
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: SECRETS.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// An address as a message.
pub fn address(address: SocketAddr) -> Option<core::Address> {
    Some(core::Address {
        address: Some(core::address::Address::SocketAddress(core::SocketAddress {
            address: address.ip().to_string(),
            port_specifier: Some(core::socket_address::PortSpecifier::PortValue(
                address.port().into(),
            )),
            ..Default::default()
        })),
    })
}

/// Wraps a message.
pub fn any<M: Message + Name>(message: &M) -> Any {
    Any {
        type_url: M::type_url(),
        value: message.encode_to_vec(),
    }
}

/// A port of loopback that nobody has just now.
pub fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
}

/// What Envoy's own validation says of a bootstrap; empty when it is good.
pub fn complaints(bootstrap: &bootstrap::Bootstrap) -> String {
    let directory = tempfile::tempdir().unwrap();
    let output = command(&written(&directory, bootstrap))
        .args(["--mode", "validate"])
        .output()
        .unwrap();
    match output.status.success() {
        true => String::new(),
        false => String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn written(directory: &tempfile::TempDir, bootstrap: &bootstrap::Bootstrap) -> PathBuf {
    let path = directory.path().join("bootstrap.pb");
    std::fs::write(&path, bootstrap.encode_to_vec()).unwrap();
    path
}

fn command(config: &std::path::Path) -> Command {
    let mut command = Command::new(find_envoy().unwrap());
    command.arg("-c").arg(config).args([
        "--concurrency",
        "1",
        "--use-dynamic-base-id",
        "--log-level",
        "warning",
    ]);
    command
}

/// An Envoy that runs until it is dropped.
pub struct Running {
    child: Child,
    _directory: tempfile::TempDir,
}

impl Running {
    /// Starts one and waits until it listens at `address`.
    pub fn start(bootstrap: &bootstrap::Bootstrap, address: SocketAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let mut child = command(&written(&directory, bootstrap))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        eventually("Envoy listens", Duration::from_secs(30), || {
            if child.try_wait().unwrap().is_some() {
                panic!(
                    "{}",
                    std::fs::read_to_string(directory.path().join("log")).unwrap()
                );
            }
            std::net::TcpStream::connect(address).ok()
        });
        Self {
            child,
            _directory: directory,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
