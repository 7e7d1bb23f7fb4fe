"""How long copies take: one large file to many nodes, many small ones to a few."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tabulate import tabulate

from bench import peer
from bench.fleet import Fleet
from bench.tools import DUST, LIMIT, environment
from dust.errors import DustError

LARGE = "copy of 100 MB to 16 nodes, s"
SMALL = "copy of 10,000 small files to 3 nodes, s"
NOTE = """\
Medians of {runs} run(s), each from starting the tool to its end, connections included; the tools
take turns, and what they copied is removed before each run. All keep times and modes. scp: one for
each node, at once. clush: `clush -f 64 -p --copy`. Every file of every node is looked for after
each run."""


@dataclass(frozen=True)
class Load:
    """What is copied, to how many nodes, and how many files of which size that is."""

    label: str
    path: Path
    nodes: int
    files: int
    size: int


def report(fleet: Fleet, runs: int, say: Callable[[str], None]) -> str:
    """Measure every tool with both loads; returns the table."""
    clush = peer.install_clush()
    rows = []
    for load in _loads(fleet.directory):
        taken: dict[str, list[float]] = {name: [] for name in ("dust", "scp", "clush")}
        for run in range(runs):
            for name in taken:
                say(f"{load.label}, run {run + 1} of {runs}: {name}")
                taken[name].append(_run(fleet, load, _call(name, clush, fleet, load)))
        medians = [median(times) for times in taken.values()]
        ratios = [f"{medians[0] / other:.2f}" for other in medians[1:]]
        rows.append([load.label, *(f"{each:.2f}" for each in medians), *ratios])
    headers = ["", "dust", "scp", "clush -c", "dust to scp", "to clush"]
    align = ("left", *["right"] * 5)
    body = tabulate(rows, headers=headers, colalign=align, disable_numparse=True)
    return f"{body}\n\n{NOTE.format(runs=runs)}"


def _loads(directory: Path) -> list[Load]:
    large, small = directory / "large", directory / "small"
    large.write_bytes(os.urandom(1 << 20) * 100)
    for number in range(10_000):
        folder = small / str(number % 100)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / str(number)).write_bytes(b"x" * (number % 4000))
    size = sum(number % 4000 for number in range(10_000))
    return [Load(LARGE, large, 16, 1, 100 << 20), Load(SMALL, small, 3, 10_000, size)]


def _call(name: str, clush: Path, fleet: Fleet, load: Load) -> list[str]:
    config, names = str(fleet.ssh_config(load.nodes)), fleet.names(load.nodes)
    path = shlex.quote(str(load.path))
    if name == "dust":
        return [sys.executable, str(DUST), "-F", config, "-c", f"put {path} *"]
    if name == "clush":
        options = ["-f", "64", "-p", "-o", f"-F {config}", "-w", ",".join(names)]
        return [str(clush), *options, "--copy", str(load.path), "--dest", "."]
    calls = [f"scp -F {shlex.quote(config)} -q -r -p {path} {each}: &" for each in names]
    return ["sh", "-c", " ".join([*calls, "wait"])]


def _run(fleet: Fleet, load: Load, argv: list[str]) -> float:
    """Seconds that a copy takes, which must be whole."""
    homes = [Path(node.details["home"]) for node in fleet.nodes[: load.nodes]]
    there = [str(home / load.path.name) for home in homes]
    subprocess.run(["rm", "-rf", *there], check=True)
    os.sync()
    begun = time.monotonic()
    done = subprocess.run(
        argv, env=environment(fleet.directory / "home"), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=LIMIT,
    )  # fmt: skip
    taken = time.monotonic() - begun
    for path in there:
        found = subprocess.run(
            ["find", path, "-type", "f", "-printf", "%s\\n"], capture_output=True, text=True
        )
        sizes = [int(line) for line in found.stdout.split()]
        if (len(sizes), sum(sizes)) != (load.files, load.size):
            raise DustError(f"{argv[0]} did not copy all to {path}: {done.stdout}{done.stderr}")
    return taken
