"""Two network namespaces joined by a veth pair: the client's and the server's. All that is started runs inside them."""
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

CLIENT, SERVER = "wattle-bench-a", "wattle-bench-b"
CLIENT_IP, SERVER_IP, VIP = "10.77.0.1", "10.77.0.2", "10.96.0.10"
OUTBOUND, INBOUND = 15001, 15006
PROXY_UID = 1337

REDIRECT_OUT = f"""table ip wattle_bench {{
  chain output {{
    type nat hook output priority -100; policy accept;
    meta skuid != {PROXY_UID} ip daddr {VIP} meta l4proto tcp redirect to :{OUTBOUND}
  }}
}}"""
REDIRECT_IN = f"""table ip wattle_bench {{
  chain prerouting {{
    type nat hook prerouting priority -100; policy accept;
    ip daddr {SERVER_IP} tcp dport 8080-8090 redirect to :{INBOUND}
  }}
}}"""
# Without a proxy the virtual address leads straight to the server.
DIRECT = f"""table ip wattle_bench {{
  chain output {{
    type nat hook output priority -100; policy accept;
    ip daddr {VIP} meta l4proto tcp dnat to {SERVER_IP}
  }}
}}"""


class Failed(Exception):
    """A cell cannot be measured; the text says why."""


def command(*words: str, text: str | None = None) -> str:
    """Runs a command to its end and gives what it printed."""
    done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(words[:6])}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class World:
    """The two namespaces for one cell; leaving it ends everything that runs in them."""

    def __init__(self, folder: Path, proxy_cpu: int, load_cpu: int):
        self.folder, self.proxy_cpu, self.load_cpu = folder, proxy_cpu, load_cpu
        self.measured: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> "World":
        remove_namespaces()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        for namespace in (CLIENT, SERVER):
            command("ip", "netns", "add", namespace)
            command("ip", "-n", namespace, "link", "set", "lo", "up")
        command("ip", "link", "add", "veth0", "netns", CLIENT, "type", "veth", "peer", "name", "veth0", "netns", SERVER)
        for namespace, address, other in ((CLIENT, CLIENT_IP, SERVER_IP), (SERVER, SERVER_IP, CLIENT_IP)):
            command("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", "veth0")
            command("ip", "-n", namespace, "link", "set", "veth0", "up")
            command("ip", "-n", namespace, "route", "add", "default", "via", other)
            command("ip", "netns", "exec", namespace, "sysctl", "-q", "-w", "net.ipv4.ip_local_port_range=10100 65000",
                    "net.core.somaxconn=8192", "net.ipv4.tcp_tw_reuse=1")
        return self

    def __exit__(self, *_: object) -> None:
        remove_namespaces()

    def write(self, name: str, content: str, mode: int = 0o644) -> Path:
        """Writes a file into the cell's folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(mode)
        return path

    def redirect(self) -> None:
        """Sends the client's traffic to the virtual address, and what reaches the server, through the proxies."""
        command("ip", "netns", "exec", CLIENT, "nft", "-f", "-", text=REDIRECT_OUT)
        command("ip", "netns", "exec", SERVER, "nft", "-f", "-", text=REDIRECT_IN)

    def expect_plaintext_refused(self, port: int) -> None:
        """A pair that lets plaintext in does not do the work: past the client's proxy there must be no answer."""
        user = [f"--reuid={PROXY_UID}", f"--regid={PROXY_UID}", "--clear-groups"]
        words = ["ip", "netns", "exec", CLIENT, "setpriv", *user, "curl", "--silent", "--fail", "--max-time", "2",
                 f"http://{SERVER_IP}:{port}/"]
        done = subprocess.run(words, capture_output=True, timeout=10, check=False)
        if done.returncode == 0:
            raise Failed("the server's proxy let plaintext in")

    def connect_directly(self) -> None:
        """Sends the client's traffic to the server without any proxy."""
        command("ip", "netns", "exec", CLIENT, "nft", "-f", "-", text=DIRECT)

    def start_proxy(self, role: str, namespace: str, words: list[str], environment: dict[str, str] | None = None) -> None:
        """Starts a process whose cost is measured, as the proxies' user on the proxies' CPU."""
        user = ["setpriv", f"--reuid={PROXY_UID}", f"--regid={PROXY_UID}", "--clear-groups"]
        self.measured[role] = self.start(role, namespace, user + words, self.proxy_cpu, environment)

    def start(self, name: str, namespace: str, words: list[str], cpu: int | None = None,
              environment: dict[str, str] | None = None) -> subprocess.Popen:
        """Starts a process in a namespace; what it prints goes to a file of its name."""
        pin = ["taskset", "-c", str(self.load_cpu if cpu is None else cpu)]
        log = (self.folder / f"{name}.log").open("wb")
        with log:
            return subprocess.Popen(["ip", "netns", "exec", namespace, *pin, *words], stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}, cwd="/")

    def run(self, words: list[str], seconds: float) -> str:
        """Runs a load generator in the client's namespace to its end and gives what it printed."""
        pin = ["ip", "netns", "exec", CLIENT, "taskset", "-c", str(self.load_cpu)]
        try:
            done = subprocess.run(pin + words, capture_output=True, text=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"{words[0]} did not end within {seconds:.0f} s") from late
        if done.returncode:
            raise Failed(f"{words[0]}: {done.stderr.strip()[-300:] or done.stdout.strip()[-300:]}")
        return done.stdout

    def wait_for(self, namespace: str, port: int, process: subprocess.Popen, name: str, seconds: float = 20) -> None:
        """Waits until the process of this name listens on a port of a namespace."""
        deadline = time.monotonic() + seconds
        while not listens(namespace, port):
            if process.poll() is not None:
                raise Failed(f"{name} ended with {process.returncode} before it listened on {port}: {self.said(name)}")
            if time.monotonic() > deadline:
                raise Failed(f"{name} does not listen on {port} after {seconds:.0f} s: {self.said(name)}")
            time.sleep(0.02)

    def said(self, name: str) -> str:
        """The last words of a process."""
        log = self.folder / f"{name}.log"
        return log.read_text(errors="replace")[-400:].strip() or "it said nothing"


def listens(namespace: str, port: int) -> bool:
    """Whether anything listens on a TCP port there."""
    return bool(command("ip", "netns", "exec", namespace, "ss", "-Htln", f"sport = :{port}").strip())


def remove_namespaces() -> None:
    """Ends what runs in the namespaces, of this run or of one that crashed, and removes them."""
    there = command("ip", "netns", "list").split()
    for namespace in (CLIENT, SERVER):
        if namespace not in there:
            continue
        for stop in (signal.SIGTERM, signal.SIGKILL):
            end_processes(namespace, stop)
        command("ip", "netns", "delete", namespace)


def end_processes(namespace: str, stop: signal.Signals) -> None:
    """Signals every process of a namespace and waits, at most two seconds, until they are gone."""
    pids = [int(pid) for pid in command("ip", "netns", "pids", namespace).split()]
    for pid in pids:
        try:
            os.kill(pid, stop)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + 2
    while command("ip", "netns", "pids", namespace).split() and time.monotonic() < deadline:
        time.sleep(0.02)


def own_lock() -> socket.socket:
    """Two runs at once would share namespaces and CPUs: the second one stops here."""
    lock = socket.socket(socket.AF_UNIX)
    try:
        lock.bind("\0wattle-bench")
    except OSError:
        raise Failed("another run is under way") from None
    return lock
