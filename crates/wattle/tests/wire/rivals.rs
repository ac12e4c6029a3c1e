//! Envoy and nginx in front of recorders of their own, as plain HTTP proxies with the defaults they come with.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use wattle_testkit::{eventually, find_envoy, find_program};

use crate::backend::Backend;

const PATIENCE: Duration = Duration::from_secs(30);

/// A way into another proxy, and what is behind it.
pub struct Way {
    pub http1: SocketAddr,
    pub http2: SocketAddr,
    pub backend: Backend,
}

/// A running proxy with several ways that do not meet.
pub struct Rival {
    pub ways: Vec<Way>,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Drop for Rival {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Rival {
    /// Envoy: HTTP/1 and HTTP/2 on one port, HTTP/1 to the server.
    pub fn envoy(count: usize) -> Self {
        let ways = ways(count, false);
        let directory = tempfile::tempdir().unwrap();
        let config = json!({ "static_resources": {
            "listeners": ways.iter().map(listener).collect::<Vec<_>>(),
            "clusters": ways.iter().map(cluster).collect::<Vec<_>>(),
        }});
        fs::write(directory.path().join("envoy.json"), config.to_string()).unwrap();
        let mut command = Command::new(find_envoy().unwrap());
        command.arg("-c").arg(directory.path().join("envoy.json"));
        command.args([
            "--concurrency",
            "1",
            "--use-dynamic-base-id",
            "--log-level",
            "warning",
        ]);
        Self::start(command, ways, directory)
    }

    /// nginx: HTTP/1 and HTTP/2 on ports of their own, HTTP/1 to the server.
    pub fn nginx(count: usize) -> Self {
        let ways = ways(count, true);
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {place}/{kind};"))
            .concat();
        let servers: String = ways
            .iter()
            .map(|way| {
                format!(
                    "server {{ listen {}; listen {} http2; location / {{ proxy_pass http://{}; \
                     proxy_http_version 1.1; proxy_set_header Host $http_host; }} }}\n",
                    way.http1, way.http2, way.backend.address
                )
            })
            .collect();
        let config = format!(
            "worker_processes 1; daemon off; user root; pid {place}/pid; error_log {place}/errors;\n\
             events {{ worker_connections 512; }}\nhttp {{ access_log off; {temporary}\n{servers}}}\n"
        );
        fs::write(directory.path().join("nginx.conf"), config).unwrap();
        let mut command = Command::new(find_program("nginx").unwrap());
        command.arg("-p").arg(directory.path()).arg("-e").arg("stderr");
        command.arg("-c").arg(directory.path().join("nginx.conf"));
        Self::start(command, ways, directory)
    }

    fn start(mut command: Command, ways: Vec<Way>, directory: tempfile::TempDir) -> Self {
        let log = File::create(directory.path().join("log")).unwrap();
        let mut child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        for way in &ways {
            eventually("the other proxy listens", PATIENCE, || {
                let said = || fs::read_to_string(directory.path().join("log")).unwrap();
                assert!(child.try_wait().unwrap().is_none(), "{}", said());
                TcpStream::connect(way.http1).ok()
            });
        }
        Self {
            ways,
            child,
            _directory: directory,
        }
    }
}

/// Ports that nobody has just now; those of HTTP/2 are the same unless apart.
fn ways(count: usize, apart: bool) -> Vec<Way> {
    let bound = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // All at once, so that they differ.
    let held: Vec<_> = (0..count * 2).map(bound).collect();
    let at = |index: usize| held[index].local_addr().unwrap();
    (0..count)
        .map(|index| Way {
            http1: at(index),
            http2: at(if apart { count + index } else { index }),
            backend: Backend::serve(bound(0)),
        })
        .collect()
}

fn address(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}

fn listener(way: &Way) -> Value {
    let cluster = way.backend.address.to_string();
    let api = "type.googleapis.com/envoy.extensions.filters";
    json!({
        "address": address(way.http1),
        "filter_chains": [{ "filters": [{
            "name": "http",
            "typed_config": {
                "@type": format!("{api}.network.http_connection_manager.v3.HttpConnectionManager"),
                "stat_prefix": "http",
                "http_filters": [{
                    "name": "router",
                    "typed_config": { "@type": format!("{api}.http.router.v3.Router") },
                }],
                "route_config": { "virtual_hosts": [{
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": cluster } }],
                }]},
            },
        }]}],
    })
}

fn cluster(way: &Way) -> Value {
    let name = way.backend.address.to_string();
    let endpoint = json!({ "endpoint": { "address": address(way.backend.address) } });
    json!({
        "name": name,
        "type": "STATIC",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [endpoint] }] },
    })
}
