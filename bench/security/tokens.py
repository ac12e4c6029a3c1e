"""Requests with JSON Web Tokens, and how many tokens a CPU verifies."""
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pair import load
from pair.envoy import CLIENT_ALLOWED as CLIENT_ALLOWED_ENVOY
from pair.envoy import typed
from pair.measure import Effort, costing
from pair.wattle import CLIENT_ALLOWED, NAMESPACE
from pair.world import Failed, World

from .varied import ROAD, GuardedEnvoy, GuardedWattle, expect_status, rbac, start

ROOT = Path(__file__).resolve().parent.parent.parent
ISSUER = "https://issuer.example/realms/shop"
# Ours remembers 1,024 verified tokens on each worker. Envoy remembers none unless it is told to; here it is told the same.
REMEMBERED = 1024
MANY = 5000
COUNTS = (1, 1000, MANY)
ALGORITHMS = {"RS256": "RS256-2048", "ES256": "ES256"}

MANIFEST = """---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: tokens, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: server}}}}
  jwtRules: [{{issuer: "{issuer}", jwks: '{keys}'}}]
"""


@dataclass(frozen=True)
class Case:
    """So many different tokens in turn, of one algorithm."""

    algorithm: str
    count: int

    @property
    def name(self) -> str:
        """Short."""
        return f"{self.algorithm.lower()}-{self.count}" if self.count else "none"


class Tokens:
    """The part of the benchmark about tokens."""

    name = "tokens"

    def __init__(self) -> None:
        self.folder = Path()

    def prepare(self, folder: Path, quick: bool) -> dict:
        """Makes key sets and tokens, and counts verifications."""
        self.folder, binary = folder, build("release" if quick else "dist")
        for algorithm, name in ALGORITHMS.items():
            keys, *tokens = run([binary, "tokens", name, MANY]).splitlines()
            (folder / f"{algorithm}.keys").write_text(keys)
            (folder / f"{algorithm}.tokens").write_text("".join(f"{token}\n" for token in tokens))
        return {"verified": verified(run([binary, 0.1 if quick else 2]))}

    def cases(self) -> list[Case]:
        """In the order of the table."""
        return [Case("RS256", 0), *(Case(algorithm, count) for algorithm in ALGORITHMS for count in COUNTS)]

    def adapters(self, case: Case, binaries: dict[str, str]) -> list:
        """The pairs that take tokens of this issuer."""
        keys = (self.folder / f"{case.algorithm}.keys").read_text()
        manifest = CLIENT_ALLOWED + MANIFEST.format(namespace=NAMESPACE, issuer=ISSUER, keys=keys)
        filters = [authentication(keys), rbac(**CLIENT_ALLOWED_ENVOY)]
        made = {"envoy": lambda binary: GuardedEnvoy(binary, filters),
                "wattle": lambda binary: GuardedWattle(binary, [manifest])}
        return [made[name](binary) for name, binary in binaries.items()]

    def work(self, world: World, adapter, case: Case, certs: Path, effort: Effort) -> dict[str, float]:
        """CPU of both proxies for each request, after it was seen that a forged token is refused."""
        start(world, adapter, certs)
        file = self.folder / f"{case.algorithm}.tokens"
        with file.open() as tokens:
            token = tokens.readline().strip()
        expect_status(world, "/", 200, f"Authorization: Bearer {token}")
        expect_status(world, "/", 401, f"Authorization: Bearer {forged(token)}")
        words = ["-c64", "-s", str(Path(__file__).with_name("tokens.lua")), load.url(ROAD), "--", str(file), str(case.count)]
        load.wrk(world, words, 1)
        (count, rate), cost = costing(world, lambda: load.wrk(world, words, effort.seconds))
        return {"cpu_us": cost * 1e6 / count, "rate": rate}


def authentication(keys: str) -> dict:
    """Envoy's filter as Istio sets it: a token is not asked for, what was verified is kept for policies."""
    provider = {"issuer": ISSUER, "local_jwks": {"inline_string": keys}, "payload_in_metadata": "payload",
                "jwt_cache_config": {"jwt_cache_size": REMEMBERED}}
    wanted = {"requires_any": {"requirements": [{"provider_name": "shop"}, {"allow_missing": {}}]}}
    return typed("jwt", "extensions.filters.http.jwt_authn.v3.JwtAuthentication", providers={"shop": provider},
                 rules=[{"match": {"prefix": "/"}, "requires": wanted}])


def forged(token: str) -> str:
    """The same claims under another signature of the same length."""
    signed, signature = token.rsplit(".", 1)
    return f"{signed}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def build(profile: str) -> Path:
    """The program that makes and verifies tokens with the proxy's own library."""
    command = ["cargo", "build", "--locked", "--profile", profile, "-p", "wattle-jwt", "--example", "rate",
               "--message-format", "json"]
    print(f"bench: building the example rate ({profile})", file=sys.stderr, flush=True)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    made = [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "rate"]
    if done.returncode or not made:
        raise Failed(f"the example rate of wattle-jwt cannot be built: {done.stderr.strip()[-300:]}")
    return Path(made[0])


def run(words: list) -> str:
    """What the program prints."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise Failed(f"{words[0]}: {done.stderr.strip()[-300:]}")
    return done.stdout


def verified(printed: str) -> list[dict]:
    """What a CPU verifies in a second, by algorithm."""
    pattern = r"^(\S+)\s+(\d+) verified per CPU second,\s+([\d.]+) us each, of which ([\d.]+) us read (\d+) bytes$"
    rows = re.findall(pattern, printed, re.MULTILINE)
    if not rows:
        raise Failed(f"rate printed no numbers: {printed[-300:]}")
    return [{"algorithm": name, "per_cpu_s": int(rate), "us": float(each), "read_us": float(read), "bytes": int(size)}
            for name, rate, each, read, size in rows]
