"""The order of a run: rounds, in each round every scenario, in each scenario every proxy in turn."""
import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import backend, certs, report
from .direct import Direct
from .envoy import Envoy
from .measure import FULL, QUICK, measure, wait_until_quiet
from .scenario import HTTP1, Scenario, chosen
from .wattle import Wattle
from .world import Failed, World, own_lock, remove_namespaces

HERE = Path(__file__).resolve().parent.parent
PREFIX = "wattle-bench-"
TOOLS = ("nginx", "h2load", "wrk", "nft", "ip", "ss", "openssl", "setpriv", "taskset", "curl")


def main(words: list[str]) -> int:
    """Runs `bench/run`; 0 when every cell was measured, 1 when one was not, 2 when nothing can be."""
    try:
        return compare(arguments(words))
    except Failed as failed:
        print(f"bench: {failed}", file=sys.stderr)
        return 2


def compare(options: argparse.Namespace) -> int:
    """Measures what was asked for and reports."""
    chosen(options.scenarios)
    if problem := unable():
        raise Failed(problem)
    adapters = able(options.proxies)
    lock, said = own_lock(), versions(adapters)
    try:
        cells = run(options, adapters)
    finally:
        remove_namespaces()
        lock.close()
    record = {"machine": machine(), "versions": said, "rounds": options.rounds, "quick": options.quick,
              "cells": cells}
    report.write(record, Path(options.out) if options.out else None)
    return 1 if any("error" in cell for cell in cells) or not cells else 0


def able(names: str) -> list:
    """The adapters that were asked for and can run; one that was asked for by name must."""
    adapters = {adapter.name: adapter for adapter in (Direct(), Envoy(), Wattle())}
    wanted = [name for name in names.split(",") if name]
    for name in wanted or list(adapters):
        lacking = adapters[name].missing() if name in adapters else f"there are {', '.join(adapters)}"
        if lacking and wanted:
            raise Failed(f"{name}: {lacking}")
        if lacking:
            print(f"bench: {name} is left out: {lacking}", file=sys.stderr)
            del adapters[name]
    return [adapter for name, adapter in adapters.items() if name in (wanted or adapters)]


def arguments(words: list[str]) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["pair"], default="pair")
    parser.add_argument("--quick", action="store_true", help="one round of few requests, to see that everything works")
    parser.add_argument("--rounds", type=int, default=5, help="times that every cell is measured (default 5)")
    parser.add_argument("--scenarios", default="", help="comma-separated; default all")
    parser.add_argument("--proxies", default="", help="comma-separated of direct, envoy, wattle; default all")
    parser.add_argument("--quiet-wait", type=float, default=20, help="longest wait for a quiet machine before a cell, s")
    parser.add_argument("--out", default="", help="folder of RESULTS.md and results.json; default bench/, none for --quick or a part")
    options = parser.parse_args(words)
    if options.quick:
        options.rounds, options.quiet_wait = 1, 0
    elif not options.out and not options.scenarios and not options.proxies:
        # A part must not take the place of the whole.
        options.out = str(HERE)
    return options


def unable() -> str:
    """Why nothing can be measured here, if so."""
    if os.geteuid():
        return "network namespaces need root"
    lacking = [tool for tool in TOOLS if not shutil.which(tool)]
    if lacking:
        return f"missing: {', '.join(lacking)}; ./dev setup installs them"
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return "" if most > 4096 else f"1,000 connections need more than {most} open files: raise the hard limit (ulimit -Hn)"


def run(options: argparse.Namespace, adapters: list) -> list[dict]:
    """Measures every cell of every round."""
    cells = []
    sweep()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        Path(folder).chmod(0o755)
        made = certs.make(Path(folder) / "certs")
        stage(adapters, Path(folder))
        for number in range(1, options.rounds + 1):
            for scenario in chosen(options.scenarios):
                # Who goes first changes from round to round.
                turn = number % max(len(adapters), 1)
                for adapter in adapters[turn:] + adapters[:turn]:
                    if adapter.supports(scenario):
                        cells.append(cell(options, adapter, scenario, number, Path(folder), made))
    return cells


def sweep() -> None:
    """Removes what a run left behind that was killed; no other run is under way, since we hold the lock."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if left.lstat().st_uid == os.geteuid() and left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)


def stage(adapters: list, folder: Path) -> None:
    """Copies the binaries to where the proxies' user can run them: the originals may be below a private home."""
    for adapter in adapters:
        if adapter.binary:
            adapter.binary = shutil.copy(adapter.binary, folder / adapter.name)
            Path(adapter.binary).chmod(0o755)


def cell(options: argparse.Namespace, adapter, scenario: Scenario, number: int, folder: Path, made: Path) -> dict:
    """One proxy at one scenario, with fresh processes in fresh namespaces."""
    def work(world: World) -> dict[str, float]:
        adapter.start(world, scenario, made)
        if adapter.name != "direct":
            world.redirect()
            if scenario.port == HTTP1:
                world.expect_plaintext_refused(HTTP1)
        return measure(world, scenario, QUICK if options.quick else FULL)

    return fill({"round": number, "scenario": scenario.name, "proxy": adapter.name}, options, folder, work)


def fill(row: dict, options: argparse.Namespace, folder: Path, work) -> dict:
    """Adds to the row what the work measures in fresh namespaces with the server, or why it could not."""
    row["others_cores"] = round(wait_until_quiet(0.2, options.quiet_wait), 2)
    cpus = sorted(os.sched_getaffinity(0))
    try:
        with World(folder / "cell", proxy_cpu=cpus[-1], load_cpu=cpus[0]) as world:
            backend.start(world)
            row.update(work(world))
    except (Failed, OSError, subprocess.SubprocessError) as failed:
        row["error"] = str(failed)
    shown = {key: round(value, 1) if isinstance(value, float) else value for key, value in row.items()}
    print(f"bench: {json.dumps(shown, ensure_ascii=False)}", file=sys.stderr, flush=True)
    return row


def machine() -> dict[str, str | int]:
    """What it ran on."""
    models = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]
    return {"cpu": models[0] if models else platform.machine(), "cores": os.cpu_count() or 0,
            "kernel": platform.release(), "python": platform.python_version()}


def versions(adapters: list) -> dict[str, str]:
    """What was measured, and with what."""
    said = {adapter.name: adapter.version() for adapter in adapters}
    for name, words in (("nginx", ["nginx", "-v"]), ("h2load", ["h2load", "--version"]), ("wrk", ["wrk", "-v"])):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        said[name] = (done.stdout + done.stderr).strip().splitlines()[0].split(" [")[0]
    return said
