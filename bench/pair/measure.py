"""One cell: a proxy pair at one kind of work. Each gives named numbers; all are medians over rounds later."""
import statistics
import time
from dataclasses import dataclass, replace

from . import load
from .process import cpu_seconds, machine_busy_seconds, memory_mb
from .scenario import Scenario
from .world import CLIENT, Failed, World

RATE = 1000
# Without requests before memory at rest is read, seconds: what the start of a program needed may be gone by then.
REST = 10


@dataclass(frozen=True)
class Effort:
    """How long things take; the smoke run takes little."""

    share: float  # of a scenario's requests
    seconds: int  # of timed loads


FULL, QUICK = Effort(1.0, 6), Effort(0.05, 1)


def measure(world: World, scenario: Scenario, effort: Effort) -> dict[str, float]:
    """Warms up, then measures."""
    kinds = {"load": requests, "bulk": bulk, "connect": connect, "fixed": fixed, "memory": memory}
    return kinds[scenario.kind](world, scenario, effort)


def requests(world: World, scenario: Scenario, effort: Effort) -> dict[str, float]:
    """CPU of both proxies for each request, and the rate with both on one CPU."""
    count = max(int(scenario.requests * effort.share), scenario.clients * scenario.streams)
    load.requests(world, scenario, max(count // 8, scenario.clients * scenario.streams))
    rate, cost = costing(world, lambda: load.requests(world, scenario, count))
    return {"cpu_us": cost * 1e6 / count, "rate": rate}


def connect(world: World, scenario: Scenario, effort: Effort) -> dict[str, float]:
    """CPU of both proxies for each client connection."""
    load.connections(world, scenario, 1)
    (count, rate), cost = costing(world, lambda: load.connections(world, scenario, effort.seconds))
    return {"cpu_us": cost * 1e6 / count, "rate": rate}


def bulk(world: World, scenario: Scenario, effort: Effort) -> dict[str, float]:
    """CPU of both proxies for each gigabyte."""
    load.bulk(world, scenario, 1)
    (count, rate), cost = costing(world, lambda: load.bulk(world, scenario, effort.seconds))
    return {"cpu_s_per_gb": cost * 1e9 / count, "bytes_per_cpu_s": count / max(cost, 1e-9), "rate": rate}


def fixed(world: World, scenario: Scenario, effort: Effort) -> dict[str, float]:
    """Latency at a rate that leaves everybody room."""
    load.at_rate(world, scenario, RATE, 1)
    latencies = sorted(load.at_rate(world, scenario, RATE, effort.seconds))
    if len(latencies) < 100:
        raise Failed(f"only {len(latencies)} latencies")
    return {"p50_us": statistics.median(latencies), "p99_us": latencies[len(latencies) * 99 // 100]}


def memory(world: World, scenario: Scenario, effort: Effort) -> dict[str, float]:
    """Memory after a little traffic and a rest, and in the middle of holding many connections."""
    load.requests(world, replace(scenario, clients=8), 64)
    time.sleep(REST)
    resident, anonymous = pair_memory(world)
    seconds = effort.seconds + 3
    holder = world.start("hold", CLIENT, load.hold_words(world, scenario, scenario.clients, seconds))
    deadline, peak = time.monotonic() + seconds * 3, (0.0, 0.0)
    while holder.poll() is None and time.monotonic() < deadline:
        peak = max(peak, pair_memory(world))
        time.sleep(0.2)
    count = scenario.clients * 2 * seconds
    load.succeeded((world.folder / "hold.log").read_text(), count)
    pair = max(len(world.measured), 1)
    return {"idle_rss_mb": resident / pair, "idle_anon_mb": anonymous / pair, "held_rss_mb": peak[0], "held_anon_mb": peak[1]}


def pair_memory(world: World) -> tuple[float, float]:
    """Resident and anonymous memory of both, in MB."""
    each = [memory_mb(process.pid) for process in world.measured.values()]
    return sum(pair[0] for pair in each), sum(pair[1] for pair in each)


def costing(world: World, work):
    """What the work gave, and the CPU seconds that the measured processes used meanwhile."""
    given, each = costing_each(world, work)
    return given, sum(each.values())


def costing_each(world: World, work):
    """What the work gave, and the CPU seconds that each measured process used meanwhile, by its role."""
    pids = {role: process.pid for role, process in world.measured.items()}
    before = {role: cpu_seconds(pid) for role, pid in pids.items()}
    given = work()
    return given, {role: cpu_seconds(pid) - before[role] for role, pid in pids.items()}


def wait_until_quiet(busy_cores: float, seconds: float) -> float:
    """Waits, so long at most, until the rest of the machine uses little; gives the cores it used last."""
    deadline = time.monotonic() + seconds
    while True:
        start, before = time.monotonic(), machine_busy_seconds()
        time.sleep(0.25)
        used = (machine_busy_seconds() - before) / (time.monotonic() - start)
        if used < busy_cores or time.monotonic() > deadline:
            return used
