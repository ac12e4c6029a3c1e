"""The pair's adapters with something else to guard, and what a client of theirs is told."""
import time
from pathlib import Path

from pair.envoy import Envoy, typed
from pair.scenario import SCENARIOS, Scenario
from pair.wattle import SERVICE, STRICT, Wattle
from pair.world import VIP, Failed, World

ROAD = next(scenario for scenario in SCENARIOS if scenario.name == "h1-h2")


class GuardedWattle(Wattle):
    """A Wattle pair under mutual TLS and these manifests."""

    def __init__(self, binary: str, guards: list[str]):
        super().__init__()
        self.binary, self.told = binary, guards

    def manifests(self) -> list[str]:
        """The service, mutual TLS and the guards, a file each."""
        return [SERVICE + STRICT, *self.told]


class GuardedEnvoy(Envoy):
    """An Envoy pair with these filters before the server."""

    def __init__(self, binary: str, guards: list[dict]):
        super().__init__()
        self.binary, self.filters = binary, guards

    def guards(self, _: Scenario) -> list[dict]:
        """The filters."""
        return self.filters


def rbac(action: str, policies: dict) -> dict:
    """Envoy's authorization filter."""
    return typed("rbac", "extensions.filters.http.rbac.v3.RBAC", rules={"action": action, "policies": policies})


def start(world: World, adapter, certs: Path) -> None:
    """Starts the pair, leads traffic through it and sees that it secures the hop."""
    adapter.start(world, ROAD, certs)
    world.redirect()
    world.expect_plaintext_refused(ROAD.port)


def expect_status(world: World, path: str, wanted: int, *headers: str, seconds: float = 10) -> None:
    """What is measured must be in force: waits until the answer to this request has the status."""
    words = ["curl", "--silent", "--max-time", "2", "--output", "/dev/null", "--write-out", "%{http_code}"]
    words += [word for header in headers for word in ("--header", header)]
    deadline = time.monotonic() + seconds
    while True:
        got = world.run([*words, f"http://{VIP}:{ROAD.port}{path}"], 10)
        if got == str(wanted):
            return
        if time.monotonic() > deadline:
            raise Failed(f"{path} is answered with {got}, not with {wanted}: what is to be measured is not in force")
        time.sleep(0.1)
