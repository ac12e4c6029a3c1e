"""TLS 1.3 handshakes of the hop, with certificates both ways: a client connection over an opaque port is one of the hop.

Wattle has no switch for resumption, and none for the groups it offers. So one of ours meets an Envoy that resumes or does
not and names one group, and each proxy's CPU time is counted by itself: the far side's cost is no part of it."""
from dataclasses import dataclass
from pathlib import Path

from pair import load
from pair.envoy import Envoy, client_tls, server_tls
from pair.measure import Effort, costing_each
from pair.scenario import OPAQUE, Scenario
from pair.wattle import CLIENT_ALLOWED, ROLES, SERVICE, STRICT, Wattle
from pair.world import Failed, World, command

from . import authority

ROAD = Scenario("handshake", "connect", OPAQUE, "tcp", "a connection of the hop for each request", clients=8)
HYBRID, CLASSICAL = "X25519MLKEM768", "X25519"
SESSIONS = 64
# Resumed, or not, connections of which at most this share was otherwise: the first ones have nothing to resume.
STRAY = 0.1


@dataclass(frozen=True)
class Case:
    """How the hop is secured."""

    name: str
    group: str = HYBRID
    resumed: bool = False
    secured: bool = True


CASES = [Case("plain", secured=False), Case("full"), Case("full-classical", CLASSICAL), Case("resumed", resumed=True)]


class EnvoyEnd(Envoy):
    """An end that is an Envoy."""

    def __init__(self, binary: str, case: Case):
        super().__init__()
        self.binary, self.case = binary, case

    def guards(self, scenario: Scenario) -> list[dict]:
        """Without TLS there is no name to ask for."""
        return super().guards(scenario) if self.case.secured else []

    def server_tls(self, certs: Path, scenario: Scenario) -> dict | None:
        """The receiving end, which hands out tickets or does not."""
        switches = ("disable_stateless_session_resumption", "disable_stateful_session_resumption")
        return self.changed(server_tls(certs, scenario), dict.fromkeys(switches, not self.case.resumed))

    def client_tls(self, certs: Path, scenario: Scenario) -> dict | None:
        """The sending end, which keeps sessions or does not."""
        return self.changed(client_tls(certs, scenario), {"max_session_keys": SESSIONS if self.case.resumed else 0})

    def changed(self, tls: dict, fields: dict) -> dict | None:
        """The pair's TLS with these fields, one group and no protocol names."""
        if not self.case.secured:
            return None
        config = tls["typed_config"]
        config.update(fields)
        config["common_tls_context"]["tls_params"]["ecdh_curves"] = [self.case.group]
        return tls


class WattleEnd(Wattle):
    """An end that is a Wattle, under the authority of the test."""

    def __init__(self, binary: str, case: Case):
        super().__init__()
        self.binary, self.case, self.issuer = binary, case, Path()

    def manifests(self) -> list[str]:
        """Mutual TLS and one policy, or none of them."""
        return [SERVICE + (STRICT + CLIENT_ALLOWED if self.case.secured else STRICT.replace("STRICT", "DISABLE"))]

    def control_options(self) -> list[str]:
        """The authority that has signed Envoy's certificates too."""
        return ["--issuer", str(self.issuer)]


class Road:
    """Two ends, each of either kind."""

    def __init__(self, case: Case, outbound: str, inbound: str, binaries: dict[str, str]):
        self.name = f"{outbound}-{inbound}"
        self.ends = {"inbound": inbound, "outbound": outbound}
        self.envoy = EnvoyEnd(binaries.get("envoy", ""), case)
        self.wattle = WattleEnd(binaries.get("wattle", ""), case)

    def start(self, world: World, certs: Path) -> None:
        """Starts the ends, with Wattle's control plane where one of them is Wattle."""
        made = authority.make(certs)
        self.wattle.issuer = made
        state = self.wattle.start_control(world) if "wattle" in self.ends.values() else Path()
        for role in ROLES:
            if self.ends[role] == "wattle":
                self.wattle.start_role(world, ROAD, role, state)
            else:
                self.envoy.start_role(world, ROAD, role, made)


class Handshakes:
    """The part of the benchmark about handshakes."""

    name = "handshakes"

    def prepare(self, _folder: Path, _quick: bool) -> dict:
        """Nothing is needed."""
        return {}

    def cases(self) -> list[Case]:
        """In the order of the table."""
        return CASES

    def adapters(self, case: Case, binaries: dict[str, str]) -> list[Road]:
        """Who meets whom: each kind itself, and where Envoy decides what the handshake is, the other kind."""
        same = [(name, name) for name in binaries if name == "envoy" or not case.secured or case.resumed]
        mixed = [("wattle", "envoy"), ("envoy", "wattle")] if case.secured and len(binaries) == 2 else []
        return [Road(case, outbound, inbound, binaries) for outbound, inbound in same + mixed]

    def work(self, world: World, road: Road, case: Case, certs: Path, effort: Effort) -> dict[str, float]:
        """CPU of each proxy for each connection, and how many were resumed as far as an Envoy tells."""
        road.start(world, certs)
        world.redirect()
        if case.secured:
            world.expect_plaintext_refused(OPAQUE)
        load.connections(world, ROAD, 1)
        before = told(road)
        (count, rate), cost = costing_each(world, lambda: load.connections(world, ROAD, effort.seconds))
        row = {"outbound_us": cost["outbound"] * 1e6 / count, "inbound_us": cost["inbound"] * 1e6 / count, "rate": rate}
        if case.secured and before:
            row["resumed"] = resumed(case, before, told(road), count)
        return row


def told(road: Road) -> dict[str, int]:
    """What an Envoy of the road has counted so far: handshakes, resumed ones and those with each group."""
    for role, prefix in (("inbound", "listener.0.0.0.0_15006.ssl."), ("outbound", "cluster.peer.ssl.")):
        if road.ends[role] == "envoy":
            words = ("curl", "--silent", "--fail", "--max-time", "5", "http://127.0.0.1:15000/stats?filter=ssl")
            lines = command("ip", "netns", "exec", ROLES[role][0], *words).splitlines()
            rows = (line.removeprefix(prefix).split(": ") for line in lines if line.startswith(prefix))
            return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
    return {}


def resumed(case: Case, before: dict[str, int], after: dict[str, int], count: int) -> float:
    """The share that was resumed, if it is what the case asks for."""
    grown = {name: after[name] - before.get(name, 0) for name in after}
    made, again, group = grown.get("handshake", 0), grown.get("session_reused", 0), grown.get(f"curves.{case.group}", 0)
    wanted = made * (1 - STRAY) <= again if case.resumed else again == 0
    if not wanted or made < count or group < count:
        raise Failed(f"of {count} connections {made} were handshakes, {again} resumed, {group} by {case.group}")
    return again / made
