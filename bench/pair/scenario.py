"""What is measured: a scenario is one kind of work on one kind of hop."""
from dataclasses import dataclass

from .world import Failed

# Ports of the server; the Wattle adapter declares them with these protocols.
HTTP1, HTTP2, GRPC, TCP = 8080, 8081, 8082, 8090
# HTTP/1.1 that is declared as opaque TCP: each connection of a client is one of the hop.
OPAQUE = 8083


@dataclass(frozen=True)
class Scenario:
    """One row of the table."""

    name: str
    kind: str  # load | fixed | connect | bulk | memory
    port: int  # of the server, and so what the client speaks
    hop: str  # h1, h2 or tcp between the proxies
    work: str  # one unit of it, for people
    requests: int = 0
    clients: int = 64
    streams: int = 1

    @property
    def client_http2(self) -> bool:
        """Whether the client speaks HTTP/2 with prior knowledge."""
        return self.port in (HTTP2, GRPC)


SCENARIOS = [
    Scenario("h1-h2", "load", HTTP1, "h2", "HTTP/1.1 keep-alive 1 KiB, HTTP/2 on the hop", 40_000),
    Scenario("h1-h1", "load", HTTP1, "h1", "HTTP/1.1 keep-alive 1 KiB, HTTP/1.1 on the hop", 30_000),
    Scenario("h2-h2", "load", HTTP2, "h2", "HTTP/2 1 KiB, HTTP/2 on the hop", 40_000, clients=8, streams=8),
    Scenario("grpc", "load", GRPC, "h2", "gRPC unary, 1 KiB each way, with trailers", 40_000, clients=8, streams=8),
    Scenario("tcp", "bulk", TCP, "tcp", "one bulk TCP stream"),
    Scenario("connect", "connect", HTTP1, "h2", "a new client connection for each HTTP/1.1 request", clients=16),
    Scenario("latency", "fixed", HTTP1, "h2", "HTTP/1.1 at 1,000 requests/s", clients=50),
    Scenario("memory", "memory", HTTP1, "h2", "HTTP/1.1 clients that come and stay", clients=1000),
]


def chosen(names: str) -> list[Scenario]:
    """The scenarios of a comma-separated list; all of them for an empty one."""
    known = {scenario.name: scenario for scenario in SCENARIOS}
    wanted = [name for name in names.split(",") if name] or list(known)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise Failed(f"no scenario {unknown[0]}; there are: {', '.join(known)}")
    return [known[name] for name in wanted]
