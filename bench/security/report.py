"""From cells to medians, differences and a page."""
import json
import statistics
from pathlib import Path

from pair.report import number

from .handshakes import CASES, CLASSICAL, HYBRID
from .policies import SIZES
from .tokens import ALGORITHMS, COUNTS, MANY, REMEMBERED

PROXIES = ("envoy", "wattle")
ACTIONS = {"allow": "ALLOW, the last one matches", "deny": "DENY, none matches, then one ALLOW"}
HANDSHAKES = {"plain": "none: no TLS", "full": f"full, {HYBRID}", "full-classical": f"full, {CLASSICAL}",
              "resumed": f"resumed, {HYBRID}"}
# Whose numbers they are, and on which road: Envoy's partner decides what the handshake is.
ENDS = {"inbound": ("terminating", {"envoy": "envoy-envoy", "wattle": "envoy-wattle"}),
        "outbound": ("originating", {"envoy": "envoy-envoy", "wattle": "wattle-envoy"})}


def write(record: dict, folder: Path | None) -> None:
    """Prints the page; with a folder, keeps it and the numbers there as well."""
    text = page(record)
    print(text)
    if folder:
        (folder / "SECURITY.md").write_text(text + "\n")
        (folder / "security.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def page(record: dict) -> str:
    """The whole page."""
    machine, cells = record["machine"], record["cells"]
    parts = {cell["part"] for cell in cells}
    lines = ["# What security costs", "",
             f"{machine['cores']} × {machine['cpu']}, Linux {machine['kernel']}; {record['rounds']} interleaved rounds, medians"
             + (" (smoke run: not for comparison)." if record["quick"] else "."),
             "Written by `./dev bench security`. How each number is measured: [README](README.md#what-security-costs).", ""]
    lines += [f"- {name}: {version}" for name, version in record["versions"].items()]
    for name, section in (("authorization", authorization), ("tokens", tokens), ("handshakes", handshakes)):
        if name in parts:
            lines += ["", *section(record)]
    failed = [cell for cell in cells if "error" in cell]
    if failed:
        lines += ["", "## Not measured", ""]
        lines += [f"- {' '.join((cell['part'], cell['case'], cell['proxy']))}, round {cell['round']}: {cell['error']}"
                  for cell in failed]
    return "\n".join(lines)


def median(cells: list[dict], part: str, case: str, proxy: str, key: str = "cpu_us") -> float | None:
    """The median over the rounds that succeeded."""
    wanted = (part, case, proxy)
    values = [cell[key] for cell in cells if (cell["part"], cell["case"], cell["proxy"]) == wanted and key in cell]
    return statistics.median(values) if values else None


def less(value: float | None, base: float | None) -> float | None:
    """The difference, where both were measured."""
    return None if value is None or base is None else value - base


def row(words: list[str], values: list[tuple[float | None, int]]) -> str:
    """A row: words, then numbers with their decimals."""
    return f"| {' | '.join(words + [number(value, 1, decimals) for value, decimals in values])} |"


def beside(cells: list[dict], part: str, case: str, base: str) -> list[tuple[float | None, int]]:
    """For each proxy the CPU of a request, and how much more that is than in the base case."""
    values = []
    for proxy in PROXIES:
        cost = median(cells, part, case, proxy)
        values += [(cost, 1), (less(cost, median(cells, part, base, proxy)), 1)]
    return values


def authorization(record: dict) -> list[str]:
    """Policies."""
    lines = ["## Authorization", "",
             "CPU µs of both proxies for each request on the pair's road (HTTP/1.1 keep-alive, HTTP/2 on the hop).", "",
             "| policies | number | envoy | more than with 1 | wattle | more than with 1 |", "|---|---:|---:|---:|---:|---:|"]
    for action, said in ACTIONS.items():
        lines += [row([said, f"{count:,}"], beside(record["cells"], "authorization", f"{action}-{count}", f"{action}-1"))
                  for count in SIZES]
    return lines


def tokens(record: dict) -> list[str]:
    """Tokens on the road, and by themselves."""
    lines = ["## Tokens", "",
             f"The same road. Both proxies remember {REMEMBERED:,} verified tokens (Envoy because it is told to, as ours does), so",
             f"{MANY:,} tokens in turn are verified each time, and fewer are not.", "",
             "| each request carries | envoy | more than without | wattle | more than without |", "|---|---:|---:|---:|---:|",
             row(["no token"], beside(record["cells"], "tokens", "none", "none"))]
    for algorithm in ALGORITHMS:
        for count in COUNTS:
            said = "the same token" if count == 1 else f"one of {count:,} tokens in turn"
            values = beside(record["cells"], "tokens", f"{algorithm.lower()}-{count}", "none")
            lines.append(row([f"{algorithm}, {said}"], values))
    lines += ["", "Verification by itself, with the proxy's library on one thread:", "",
              "| algorithm | verified per CPU second | µs each | of which reading | token bytes |", "|---|---:|---:|---:|---:|"]
    lines += [row([each["algorithm"]], [(each["per_cpu_s"], 0), (each["us"], 1), (each["read_us"], 1), (each["bytes"], 0)])
              for each in record.get("verified", [])]
    return lines


def handshakes(record: dict) -> list[str]:
    """Handshakes of each end."""
    cells = record["cells"]
    lines = ["## Handshakes", "",
             "TLS 1.3, P-256 certificates both ways under root and issuer, a connection of the hop for each request. Handshakes per",
             "CPU second are of what TLS adds to a connection without it.", "",
             "| handshake | proxy | envoy µs/connection | handshakes per CPU s | wattle µs/connection | handshakes per CPU s |",
             "|---|---|---:|---:|---:|---:|"]
    for case in CASES:
        for end, (said, roads) in ENDS.items():
            values = []
            for proxy, road in roads.items():
                cost = median(cells, "handshakes", case.name, road if case.secured else f"{proxy}-{proxy}", f"{end}_us")
                added = less(cost, median(cells, "handshakes", "plain", f"{proxy}-{proxy}", f"{end}_us"))
                values += [(cost, 1), (1e6 / added if added and added > 0 else None, 0)]
            lines.append(row([HANDSHAKES[case.name], said], values))
    return lines + own_pair(cells)


def own_pair(cells: list[dict]) -> list[str]:
    """What two of ours do with each other."""
    ends = [median(cells, "handshakes", "resumed", "wattle-wattle", f"{end}_us") for end in ENDS]
    if None in ends:
        return []
    return ["", f"Two Wattle proxies, which resume as they always do: {ends[0]:,.1f} µs/connection terminating, {ends[1]:,.1f}",
            "originating."]
