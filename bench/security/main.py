"""What security costs: authorization with many policies, requests with tokens, handshakes of the hop."""
import argparse
import sys
import tempfile
from pathlib import Path

from pair import certs
from pair.main import HERE, PREFIX, able, fill, machine, stage, sweep, unable, versions
from pair.measure import FULL, QUICK
from pair.world import Failed, own_lock, remove_namespaces

from . import report
from .handshakes import Handshakes
from .policies import Authorization
from .tokens import Tokens


def main(words: list[str]) -> int:
    """Runs `bench/run security`; 0 when every cell was measured, 1 when one was not, 2 when nothing can be."""
    try:
        return compare(arguments(words))
    except Failed as failed:
        print(f"bench: {failed}", file=sys.stderr)
        return 2


def arguments(words: list[str]) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="bench/run security", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of few requests, to see that everything works")
    parser.add_argument("--rounds", type=int, default=3, help="times that every cell is measured (default 3)")
    parser.add_argument("--parts", default="", help="comma-separated of authorization, tokens, handshakes; default all")
    parser.add_argument("--quiet-wait", type=float, default=20, help="longest wait for a quiet machine before a cell, s")
    parser.add_argument("--out", default="", help="folder of the results; default bench/, none for --quick or a part")
    options = parser.parse_args(words)
    if options.quick:
        options.rounds, options.quiet_wait = 1, 0
    elif not options.out and not options.parts:
        # A part must not take the place of the whole.
        options.out = str(HERE)
    return options


def chosen(names: str) -> list:
    """The parts of a comma-separated list; all of them for an empty one."""
    known = {part.name: part for part in (Authorization(), Tokens(), Handshakes())}
    wanted = [name for name in names.split(",") if name] or list(known)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise Failed(f"no part {unknown[0]}; there are: {', '.join(known)}")
    return [known[name] for name in wanted]


def compare(options: argparse.Namespace) -> int:
    """Measures what was asked for and reports."""
    parts = chosen(options.parts)
    if problem := unable():
        raise Failed(problem)
    adapters = [adapter for adapter in able("") if adapter.binary]
    lock, said = own_lock(), versions(adapters)
    try:
        record = run(options, parts, adapters)
    finally:
        remove_namespaces()
        lock.close()
    record = {"machine": machine(), "versions": said, "rounds": options.rounds, "quick": options.quick, **record}
    report.write(record, Path(options.out) if options.out else None)
    return 1 if any("error" in cell for cell in record["cells"]) or not record["cells"] else 0


def run(options: argparse.Namespace, parts: list, adapters: list) -> dict:
    """Measures every cell of every round; gives them with what the parts measured by themselves."""
    record = {"cells": []}
    sweep()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        folder = Path(name)
        folder.chmod(0o755)
        made = certs.make(folder / "certs")
        stage(adapters, folder)
        binaries = {adapter.name: adapter.binary for adapter in adapters}
        for part in parts:
            record.update(part.prepare(folder, options.quick))
        for number in range(1, options.rounds + 1):
            for part in parts:
                record["cells"] += part_cells(options, part, binaries, number, made)
    return record


def part_cells(options: argparse.Namespace, part, binaries: dict[str, str], number: int, made: Path) -> list[dict]:
    """The cells of a part in one round; who goes first changes from round to round."""
    cells, effort = [], QUICK if options.quick else FULL
    for case in part.cases():
        adapters = part.adapters(case, binaries)
        turn = number % max(len(adapters), 1)
        for adapter in adapters[turn:] + adapters[:turn]:
            row = {"round": number, "part": part.name, "case": case.name, "proxy": adapter.name}
            cells.append(fill(row, options, made.parent, lambda world: part.work(world, adapter, case, made, effort)))
    return cells
