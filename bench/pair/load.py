"""Load generators, h2load and wrk: how they are called and what is read from what they print."""
import json
import re
import sys
from pathlib import Path

from .scenario import GRPC, Scenario
from .world import VIP, Failed, World


def requests(world: World, scenario: Scenario, count: int) -> float:
    """Sends so many requests over kept connections, as fast as they are answered; gives requests/s."""
    words = h2load(world, scenario, scenario.clients, scenario.streams) + ["-n", str(count)]
    return succeeded(world.run(words + [url(scenario)], 60 + count / 300), count)


def at_rate(world: World, scenario: Scenario, rate: int, seconds: int) -> list[int]:
    """Sends at a fixed rate spread over the clients; gives the latency of each request in µs."""
    log = world.folder / "latency.tsv"
    log.unlink(missing_ok=True)
    count = rate * seconds
    words = h2load(world, scenario, scenario.clients, 1) + ["-n", str(count), f"--rps={rate / scenario.clients}"]
    # Clients start one after the other, or else all of them would always send at the same instant.
    words += ["-r1", f"--rate-period={max(1000 // rate, 1)}ms"]
    succeeded(world.run(words + [f"--log-file={log}", url(scenario)], seconds * 3 + 30), count)
    rows = [line.split("\t") for line in log.read_text().splitlines()]
    return [int(row[2]) for row in rows if row[1] == "200"]


def hold_words(world: World, scenario: Scenario, clients: int, seconds: int) -> list[str]:
    """The command that holds so many connections with two requests a second on each."""
    words = h2load(world, scenario, clients, 1)
    return words + ["-n", str(clients * 2 * seconds), "--rps=2", url(scenario)]


def h2load(world: World, scenario: Scenario, clients: int, streams: int) -> list[str]:
    """The words that all calls share."""
    words = ["h2load", "-t1", f"-c{clients}", f"-m{streams}"]
    if not scenario.client_http2:
        words.append("--h1")
    if scenario.port == GRPC:
        words += ["-d", str(world.folder / "request"), "-H", "content-type: application/grpc", "-H", "te: trailers"]
    return words


def url(scenario: Scenario) -> str:
    """What is asked for."""
    return f"http://{VIP}:{scenario.port}/" + ("message" if scenario.port == GRPC else "")


def succeeded(printed: str, count: int) -> float:
    """The rate, if every request was answered with success."""
    done = re.search(r"requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored", printed)
    good = re.search(r"status codes: (\d+) 2xx", printed)
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", printed)
    if not (done and good and rate) or int(done[1]) != count or int(good[1]) != count:
        raise Failed(f"of {count} requests not all succeeded: {done[0] if done else printed[-300:]}")
    return float(rate[1])


def connections(world: World, scenario: Scenario, seconds: int) -> tuple[int, float]:
    """A new connection for each request; gives how many and how many a second."""
    return wrk(world, [f"-c{scenario.clients}", "-H", "Connection: close", url(scenario)], seconds)


def wrk(world: World, words: list[str], seconds: int) -> tuple[int, float]:
    """As many requests as it can for so long, all of which have to succeed; gives how many and how many a second."""
    printed = world.run(["wrk", "-t1", f"-d{seconds}s", *words], seconds + 30)
    total = re.search(r"(\d+) requests in", printed)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    wrong = re.search(r"Socket errors: connect (\d+).* timeout (\d+)|Non-2xx or 3xx responses: (\d+)", printed)
    if not (total and rate and int(total[1])) or (wrong and any(int(number or 0) for number in wrong.groups())):
        raise Failed(f"wrk: {wrong[0] if wrong else printed[-300:]}")
    return int(total[1]), float(rate[1])


def bulk(world: World, scenario: Scenario, seconds: int) -> tuple[float, float]:
    """One stream; gives the bytes that arrived and bytes/s."""
    script = str(Path(__file__).with_name("bulk.py"))
    sent = json.loads(world.run([sys.executable, script, "send", VIP, str(scenario.port), str(seconds)], seconds + 60))
    return sent["bytes"], sent["bytes"] / sent["seconds"]
