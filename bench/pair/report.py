"""From cells to medians, ratios and a page."""
import json
import statistics
from pathlib import Path

from .scenario import SCENARIOS, Scenario

# For each kind of scenario: key, title, decimals, and whether less is better.
NUMBERS = {
    "load": [("cpu_us", "CPU µs/request", 1, True), ("rate", "requests/s", 0, False)],
    "connect": [("cpu_us", "CPU µs/connection", 1, True), ("rate", "connections/s", 0, False)],
    "bulk": [("cpu_s_per_gb", "CPU s/GB", 2, True), ("bytes_per_cpu_s", "MB per CPU s", 0, False), ("rate", "MB/s", 0, False)],
    "fixed": [("p50_us", "p50 µs", 0, True), ("p99_us", "p99 µs", 0, True)],
    "memory": [("idle_rss_mb", "MB resident at rest, each", 1, True), ("idle_anon_mb", "MB anonymous at rest, each", 1, True),
               ("held_rss_mb", "MB resident under 1,000 connections, pair", 1, True),
               ("held_anon_mb", "MB anonymous under 1,000 connections, pair", 1, True)],
}
GOALS = {("h1-h2", "cpu_us"): "≤ 42, then ≤ 29", ("h1-h1", "cpu_us"): "≤ 60", ("h2-h2", "cpu_us"): "≤ 36, then ≤ 25",
         ("tcp", "cpu_s_per_gb"): "≤ 1.5", ("connect", "cpu_us"): "≤ 95", ("latency", "p50_us"): "≤ 340",
         ("latency", "p99_us"): "≤ 900", ("memory", "idle_rss_mb"): "≤ 10", ("memory", "idle_anon_mb"): "≤ 2",
         ("memory", "held_anon_mb"): "≤ 30"}
IN_MILLIONS = {("bulk", "rate"), ("bulk", "bytes_per_cpu_s")}


def write(record: dict, folder: Path | None) -> None:
    """Prints the table; with a folder, keeps page and numbers there as well."""
    text = page(record)
    print(text)
    if folder:
        (folder / "RESULTS.md").write_text(text + "\n")
        (folder / "results.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def page(record: dict) -> str:
    """The whole page."""
    machine, proxies = record["machine"], present(record["cells"])
    lines = ["# Wattle beside its peers", "",
             f"{machine['cores']} × {machine['cpu']}, Linux {machine['kernel']}; {record['rounds']} interleaved rounds, medians"
             + (" (smoke run: not for comparison)." if record["quick"] else "."),
             "How each number is measured: [README](README.md).", ""]
    lines += [f"- {name}: {version}" for name, version in record["versions"].items()]
    lines += ["", table_head(proxies), "|---|---|" + "---:|" * len(proxies) + "---:|---|"]
    for scenario in SCENARIOS:
        lines += rows(scenario, record["cells"], proxies)
    failed = [cell for cell in record["cells"] if "error" in cell]
    if failed:
        lines += ["", "Not measured:", ""]
        lines += [f"- {cell['scenario']}, {cell['proxy']}, round {cell['round']}: {cell['error']}" for cell in failed]
    return "\n".join(lines)


def present(cells: list[dict]) -> list[str]:
    """The proxies that were there, in the table's order."""
    names = {cell["proxy"] for cell in cells}
    return [name for name in ("direct", "envoy", "wattle") if name in names]


def table_head(proxies: list[str]) -> str:
    """Titles of the columns."""
    return "| work | number | " + " | ".join(proxies) + " | wattle / envoy | goal |"


def rows(scenario: Scenario, cells: list[dict], proxies: list[str]) -> list[str]:
    """The rows of one scenario."""
    lines = []
    for key, title, decimals, less in NUMBERS[scenario.kind]:
        medians = {proxy: median(cells, scenario.name, proxy, key) for proxy in proxies}
        if all(value is None for value in medians.values()):
            continue
        scale = 1e6 if (scenario.kind, key) in IN_MILLIONS else 1
        shown = [number(value, scale, decimals) for value in medians.values()]
        ratio = quotient(medians.get("wattle"), medians.get("envoy"), less)
        lines.append(f"| {scenario.work} | {title} | {' | '.join(shown)} | {ratio} | {GOALS.get((scenario.name, key), '')} |")
    return lines


def median(cells: list[dict], scenario: str, proxy: str, key: str) -> float | None:
    """The median over the rounds that succeeded."""
    values = [cell[key] for cell in cells if cell["scenario"] == scenario and cell["proxy"] == proxy and key in cell]
    return statistics.median(values) if values else None


def number(value: float | None, scale: float, decimals: int) -> str:
    """A number for the table."""
    return "–" if value is None else f"{value / scale:,.{decimals}f}"


def quotient(ours: float | None, theirs: float | None, less: bool) -> str:
    """How we stand, marked where we are worse."""
    if ours is None or not theirs:
        return "–"
    ratio = ours / theirs
    return f"{ratio:.2f}" + ("" if (ratio <= 1) == less else " (worse)")
