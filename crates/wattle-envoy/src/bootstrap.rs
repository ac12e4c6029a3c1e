//! What clients are started with: how they find the agent beside them, and what they say of themselves.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// Cluster of an Envoy's bootstrap behind which the agent is, for discovery and for secrets.
pub const AGENT: &str = "wattle-agent";
/// Metadata of an Envoy's node: the cluster from which secrets come, if it is not [`AGENT`].
pub const SECRETS_KEY: &str = "WATTLE_SECRETS_CLUSTER";
/// Metadata of a gRPC program's node: the certificate provider instance of its bootstrap; without it plaintext is spoken.
pub const CERTIFICATES_KEY: &str = "WATTLE_CERTIFICATES";
/// Metadata of a gRPC program's node, set to `true` where a proxy beside it carries its connections and secures them: the
/// program itself speaks plaintext to every endpoint.
pub const CARRIED_KEY: &str = "WATTLE_CARRIED";
/// Name of the certificate provider instance of the bootstrap made here.
pub const CERTIFICATES: &str = "default";

/// How the names begin by which a gRPC server that holds a certificate asks for its listeners (gRFC A36); its address follows.
/// Without a name to ask by it would fall back to what it does without a mesh, which may be plaintext.
const SERVER_LISTENER: &str = "grpc/server?xds.resource.listening_address=";

/// Where a gRPC server listens that asks for a listener by this name; `None` for names of other listeners.
pub fn listening_address(name: &str) -> Option<SocketAddr> {
    name.strip_prefix(SERVER_LISTENER)?.parse().ok()
}

/// How often a gRPC program looks at its certificate's files, the least that gRPC takes.
pub const REFRESH: Duration = Duration::from_secs(1);

/// Longest program of a regular expression that Envoy takes; those of the mesh are bounded where they are written.
const MAX_PROGRAM: u32 = 32_768;

/// An Envoy beside a workload.
#[derive(Clone, Copy, Debug)]
pub struct Envoy<'a> {
    /// `namespace/instance`.
    pub node: &'a str,
    /// Name of the workload, for Envoy's own statistics.
    pub cluster: &'a str,
    /// Unix socket of the agent.
    pub agent: &'a Path,
    /// Unix socket of Envoy's own admin pages.
    pub admin: &'a Path,
    /// Mark on its sockets, where that exempts them from redirection (`SO_MARK`).
    pub mark: Option<u32>,
}

impl Envoy<'_> {
    /// The bootstrap (`envoy.config.bootstrap.v3.Bootstrap`).
    pub fn bootstrap(&self) -> Value {
        let ads = json!({ "ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s" });
        let mut bootstrap = json!({
            "node": { "id": self.node, "cluster": self.cluster },
            "admin": { "address": { "pipe": { "path": self.admin, "mode": 0o600 } } },
            "dynamic_resources": {
                "ads_config": {
                    "api_type": "DELTA_GRPC",
                    "transport_api_version": "V3",
                    "set_node_on_first_message_only": true,
                    "grpc_services": [{ "envoy_grpc": { "cluster_name": AGENT } }],
                },
                "cds_config": ads,
                "lds_config": ads,
            },
            "layered_runtime": {
                "layers": [{ "name": "mesh", "static_layer": { "re2.max_program_size.error_level": MAX_PROGRAM } }],
            },
            "static_resources": { "clusters": [agent(self.agent)] },
        });
        if let Some(mark) = self.mark {
            /// `SOL_SOCKET` and `SO_MARK` of Linux.
            const OPTION: (u32, u32) = (1, 36);
            let option =
                json!({ "level": OPTION.0, "name": OPTION.1, "int_value": mark, "state": "STATE_PREBIND" });
            bootstrap["cluster_manager"] = json!({ "upstream_bind_config": { "socket_options": [option] } });
        }
        bootstrap
    }
}

/// The agent, which speaks HTTP/2 on a Unix socket.
fn agent(socket: &Path) -> Value {
    let endpoint = json!({ "endpoint": { "address": { "pipe": { "path": socket } } } });
    json!({
        "name": AGENT,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": { "cluster_name": AGENT, "endpoints": [{ "lb_endpoints": [endpoint] }] },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http2_protocol_options": {} },
            },
        },
    })
}

/// A gRPC program.
#[derive(Clone, Copy, Debug)]
pub struct Grpc<'a> {
    /// `namespace/instance`.
    pub node: &'a str,
    /// Where discovery is had in the clear, within the workload's own network namespace.
    pub server: SocketAddr,
    /// Directory with `tls.crt`, `tls.key` and `ca.crt`, if it has a certificate of its own.
    pub certificates: Option<&'a Path>,
}

impl Grpc<'_> {
    /// The bootstrap that `GRPC_XDS_BOOTSTRAP` names (gRFC A27, with certificate providers of A29).
    pub fn bootstrap(&self) -> Value {
        let mut bootstrap = json!({
            "xds_servers": [{
                "server_uri": self.server.to_string(),
                "channel_creds": [{ "type": "insecure" }],
                "server_features": ["xds_v3"],
            }],
            "node": { "id": self.node },
        });
        if let Some(directory) = self.certificates {
            bootstrap["node"]["metadata"] = json!({ CERTIFICATES_KEY: CERTIFICATES });
            bootstrap["server_listener_resource_name_template"] = format!("{SERVER_LISTENER}%s").into();
            bootstrap["certificate_providers"] = json!({
                CERTIFICATES: {
                    "plugin_name": "file_watcher",
                    "config": {
                        "certificate_file": directory.join("tls.crt"),
                        "private_key_file": directory.join("tls.key"),
                        "ca_certificate_file": directory.join("ca.crt"),
                        "refresh_interval": format!("{}s", REFRESH.as_secs()),
                    },
                },
            });
        }
        bootstrap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envoy_knows_its_agent_and_nobody_else() {
        let envoy = Envoy {
            node: "shop/web-0",
            cluster: "web-0",
            agent: Path::new("/own/agent.sock"),
            admin: Path::new("/own/envoy.sock"),
            mark: None,
        };
        let bootstrap = envoy.bootstrap();
        let clusters = bootstrap["static_resources"]["clusters"]
            .as_array()
            .expect("a list");
        assert_eq!(clusters.len(), 1);
        assert_eq!(clusters[0]["name"], AGENT);
        assert_eq!(bootstrap["node"]["id"], "shop/web-0");
        assert!(bootstrap.get("cluster_manager").is_none());
        let marked = Envoy {
            mark: Some(1337),
            ..envoy
        };
        let option = &marked.bootstrap()["cluster_manager"]["upstream_bind_config"]["socket_options"][0];
        assert_eq!(
            (&option["name"], &option["int_value"]),
            (&json!(36), &json!(1337))
        );
    }

    #[test]
    fn a_grpc_program_names_its_certificates_only_where_it_has_some() {
        let mut grpc = Grpc {
            node: "shop/web-0",
            server: SocketAddr::from(([127, 0, 0, 1], 15010)),
            certificates: None,
        };
        let without = grpc.bootstrap();
        assert_eq!(without["xds_servers"][0]["server_uri"], "127.0.0.1:15010");
        assert!(without["node"].get("metadata").is_none());
        assert!(without.get("server_listener_resource_name_template").is_none());
        grpc.certificates = Some(Path::new("/certs"));
        let with = grpc.bootstrap();
        assert_eq!(with["node"]["metadata"][CERTIFICATES_KEY], CERTIFICATES);
        let provider = &with["certificate_providers"][CERTIFICATES]["config"];
        assert_eq!(provider["private_key_file"], "/certs/tls.key");
        assert_eq!(provider["refresh_interval"], "1s");
        let template = with["server_listener_resource_name_template"]
            .as_str()
            .expect("a text");
        let name = template.replace("%s", "[::]:9000");
        assert_eq!(listening_address(&name), Some(([0; 8], 9000).into()));
        assert_eq!(listening_address("web.shop:80"), None);
    }
}
