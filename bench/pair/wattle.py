"""A Wattle pair as it runs by hand: a control plane, a join token for each proxy, and a proxy beside client and server."""
import json
import os
import time
from pathlib import Path

from .scenario import GRPC, HTTP1, HTTP2, OPAQUE, TCP, Scenario
from .world import CLIENT, CLIENT_IP, PROXY_UID, SERVER, SERVER_IP, VIP, Failed, World, command

TRUST_DOMAIN, NAMESPACE = "cluster.local", "bench"
CONTROL_PORT, STATUS_PORT = 15012, 15020
PROTOCOLS = {HTTP1: "http", HTTP2: "kubernetes.io/h2c", GRPC: "grpc", OPAQUE: "tcp", TCP: "tcp"}
ROLES = {"inbound": (SERVER, "server"), "outbound": (CLIENT, "client")}

SERVICE = f"""apiVersion: v1
kind: Service
metadata: {{name: server, namespace: {NAMESPACE}}}
spec:
  clusterIP: {VIP}
  selector: {{app: server}}
  ports: [{", ".join(f'{{name: p{port}, port: {port}, appProtocol: {name}}}' for port, name in PROTOCOLS.items())}]
"""
STRICT = f"""---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: {NAMESPACE}}}
spec: {{mtls: {{mode: STRICT}}}}
"""
CLIENT_ALLOWED = f"""---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: client, namespace: {NAMESPACE}}}
spec:
  selector: {{matchLabels: {{app: server}}}}
  action: ALLOW
  rules: [{{from: [{{source: {{principals: ["{TRUST_DOMAIN}/ns/{NAMESPACE}/sa/client"]}}}}]}}]
"""
# The same work as the Envoy pair: mutual TLS only, and one rule that names the client.
MANIFEST = SERVICE + STRICT + CLIENT_ALLOWED
ENTRY = """---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {name}, namespace: {namespace}, labels: {{wattle.io/proxy: enabled}}}}
spec: {{address: {address}, labels: {{app: {name}}}, serviceAccount: {name}}}
"""


class Wattle:
    """Adapter of Wattle, one worker each."""

    name = "wattle"

    def __init__(self) -> None:
        self.binary = os.environ.get("WATTLE_BIN", "")

    def version(self) -> str:
        """One line for the record."""
        return command(self.binary, "version").strip().splitlines()[0]

    def missing(self) -> str:
        """What is not there, if anything."""
        return "" if os.access(self.binary, os.X_OK) else "WATTLE_BIN does not name the binary; ./dev bench builds it and sets it"

    def supports(self, _: Scenario) -> bool:
        """Everything."""
        return True

    def manifests(self) -> list[str]:
        """What the control plane is told beside the two workloads, a file each."""
        return [MANIFEST]

    def control_options(self) -> list[str]:
        """More words for the control plane."""
        return []

    def start(self, world: World, scenario: Scenario, _certs: Path) -> None:
        """Starts the control plane and the pair, and waits until both proxies are ready."""
        state = self.start_control(world)
        for role in ROLES:
            self.start_role(world, scenario, role, state)

    def start_role(self, world: World, scenario: Scenario, role: str, state: Path) -> None:
        """Starts one proxy with a token of the control plane whose state this is, and waits until it is ready."""
        namespace, name = ROLES[role]
        own = world.folder / role
        own.mkdir(mode=0o700)
        os.chown(own, PROXY_UID, PROXY_UID)
        token = world.write(f"{name}.token", join_token(state, name))
        words = [self.binary, "proxy", "--id", f"spiffe://{TRUST_DOMAIN}/ns/{NAMESPACE}/sa/{name}", "--instance", name,
                 "--control", f"{SERVER_IP}:{CONTROL_PORT}", "--roots", str(world.folder / "roots.pem"),
                 "--token", str(token), "--state", str(own), "--workers", "1"]
        if scenario.hop == "h1":
            words.append("--http1-hop")
        world.start_proxy(role, namespace, words)
        wait_until_ready(world, namespace, role)

    def start_control(self, world: World) -> Path:
        """Starts the control plane in the server's namespace, on the CPU of the load; gives its state directory."""
        entries = (ENTRY.format(name=name, namespace=NAMESPACE, address=address)
                   for name, address in (("client", CLIENT_IP), ("server", SERVER_IP)))
        for number, manifest in enumerate([*self.manifests(), "".join(entries)]):
            world.write(f"config/mesh{number}.yaml", manifest)
        state = world.folder / "control"
        state.mkdir(mode=0o700)
        process = world.start("control", SERVER, [self.binary, "control", "--config", str(world.folder / "config"),
                                                  "--state", str(state), "--listen", f"{SERVER_IP}:{CONTROL_PORT}",
                                                  *self.control_options()])
        world.wait_for(SERVER, CONTROL_PORT, process, "control")
        world.write("roots.pem", (state / "roots.pem").read_text())
        return state


def join_token(state: Path, account: str) -> str:
    """A token for a service account, from the control plane's admin socket."""
    asked = json.dumps({"namespace": NAMESPACE, "serviceAccount": account})
    said = command("curl", "--silent", "--show-error", "--fail", "--max-time", "5", "--unix-socket", str(state / "admin.sock"),
                   "--json", asked, "http://control/tokens")
    return json.loads(said)["token"]


def wait_until_ready(world: World, namespace: str, role: str, seconds: float = 20) -> None:
    """Waits until the proxy says that it has identity and config."""
    process, deadline = world.measured[role], time.monotonic() + seconds
    while True:
        try:
            command("ip", "netns", "exec", namespace, "curl", "--silent", "--fail", "--max-time", "2",
                    f"http://127.0.0.1:{STATUS_PORT}/ready")
            return
        except Failed as not_yet:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"the {role} proxy is not ready: {world.said(role)}") from not_yet
        time.sleep(0.05)
