"""No proxy at all: what the client, the server and the kernel cost by themselves."""
from pathlib import Path

from .scenario import Scenario
from .world import World


class Direct:
    """Adapter that starts nothing."""

    name = "direct"
    binary = ""

    def version(self) -> str:
        """One line for the record."""
        return "no proxy"

    def missing(self) -> str:
        """Nothing is needed."""
        return ""

    def supports(self, scenario: Scenario) -> bool:
        """Only latency says something without a proxy."""
        return scenario.kind == "fixed"

    def start(self, world: World, _scenario: Scenario, _certs: Path) -> None:
        """Leads the virtual address straight to the server."""
        world.connect_directly()
