"""What a routing decision costs with 1, 100 and 10,000 rules, in instructions and nanoseconds."""
import argparse
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "bench" / "ROUTES.md"
SIZES = (1, 100, 10_000)
SHAPES = {
    "exact": "exact paths below one host",
    "prefix": "prefixes of paths below one host",
    "hosts": "a host and a prefix each",
    "header": "a header each: no index helps, every rule before it is looked at",
}
ROUNDS = 5


def main(words: list[str]) -> int:
    """Runs `bench/run routes`; 0 when every cell was measured."""
    parser = argparse.ArgumentParser(prog="bench/run routes", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few decisions, to see that it works; writes no results")
    options = parser.parse_args(words)
    binary = build()
    cells = [cell(binary, shape, rules, options.quick) for shape in SHAPES for rules in SIZES]
    text = table(cells)
    print(text)
    if not options.quick:
        RESULTS.write_text(text)
    return 0


def build() -> Path:
    """The measured program, with the optimisation of a release binary."""
    command = ["cargo", "build", "--locked", "--profile", "bench", "-p", "wattle-model", "--example", "routes",
               "--message-format", "json"]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    messages = [json.loads(line) for line in out.splitlines()]
    return Path(next(m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "routes"))


def cell(binary: Path, shape: str, rules: int, quick: bool) -> dict:
    """Nanoseconds: the least of some rounds. Instructions: the difference of two counts, so that set-up is no part of it."""
    slow = shape == "header" and rules > 1000
    decisions = 200 if slow else 20_000
    rounds = 1 if quick else ROUNDS
    nanos = min(float(run([binary, rules, shape, decisions * (1 if quick or slow else 20)])) for _ in range(rounds))
    few, many = (20, 120) if slow else (1000, 11_000)
    counts = {n: instructions(binary, rules, shape, n) for n in (few, many)} if shutil.which("valgrind") else None
    each = (counts[many] - counts[few]) / (many - few) if counts else None
    return {"shape": shape, "rules": rules, "ns": nanos, "instructions": each}


def run(command: list) -> str:
    """What a program prints."""
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def instructions(binary: Path, rules: int, shape: str, decisions: int) -> int:
    """Instructions of a whole run, counted by callgrind."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", str(binary), str(rules), shape,
                 str(decisions)]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stderr
    return int(re.search(r"Collected : (\d+)", said).group(1))


def table(cells: list[dict]) -> str:
    """The results as Markdown."""
    lines = [
        "# What a routing decision costs", "",
        "Written by `./dev bench routes`. The rule that matches is the one in the middle of the table. Instructions are",
        "counted by callgrind and repeatable; nanoseconds are the least of 5 rounds on a machine that others use too.", "",
        "| rules told apart by | 1 rule | 100 rules | 10,000 rules | 10,000 / 1 |", "|---|---:|---:|---:|---:|",
    ]
    for shape, said in SHAPES.items():
        mine = {c["rules"]: c for c in cells if c["shape"] == shape}
        shown = []
        for rules in SIZES:
            counted = mine[rules]["instructions"]
            shown.append((f"{counted:,.0f} instructions, " if counted is not None else "") + f"{mine[rules]['ns']:,.0f} ns")
        key = "instructions" if mine[1]["instructions"] else "ns"
        ratio = mine[SIZES[-1]][key] / mine[1][key]
        lines.append(f"| {said} | {' | '.join(shown)} | {ratio:,.1f} |")
    return "\n".join(lines) + "\n"
