"""Measure Dust beside polysh and bare ssh, on real nodes of this machine.

Usage:
  bin/bench [options]

Options:
  -n NUMBERS   How many nodes, in turn [default: 16,64,256].
  --runs RUNS  How often each tool is measured; medians are printed [default: 5].
  --prompt     Measure Dust's prompt too, with lines typed on a terminal.
  --copies     Measure copies only, beside scp and clush.
  --oneshots   Measure dust-at only, beside xargs, pdsh, clush, pssh and ansible.
  --quick      One short run with 16 nodes, to see that it works.
  -h, --help   Show this.
"""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TypeVar

from docopt import DocoptExit, docopt

from bench import copies, oneshots, peer, table
from bench.fleet import Fleet, fleet
from bench.measure import Sample, measure
from bench.rate import Course, Rate, floor_rate, tool_rate
from bench.shells import FloorShells, Shells, ToolShells
from bench.tools import dust, polysh
from dust.errors import DustError, UsageError

ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
#: The output is measured on so many nodes.
PRINTING = 16
T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """What is measured: numbers of nodes, runs, lines a run, bytes that a node prints."""

    counts: list[int]
    runs: int
    trips: int
    size: int
    prompt: bool
    copies: bool
    oneshots: bool


def main(argv: list[str]) -> int:
    """Run the bench that `argv` describes and return the exit status."""
    try:
        plan = _plan(docopt(__doc__ or "", argv))
        if sys.platform != "linux":
            raise DustError("this reads /proc, which only Linux has")
        for each in ENDING:
            signal.signal(each, _end)
        _allow_descriptors(max(plan.counts))
        print(_measure(plan))
    except DocoptExit as error:
        print(error.usage, file=sys.stderr)
        return 2
    except (DustError, OSError) as error:
        print(f"bin/bench: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0


def _plan(options: dict[str, str]) -> Plan:
    chosen = [bool(options[name]) for name in ("--prompt", "--copies", "--oneshots")]
    if options["--quick"]:
        return Plan([16], 1, 20, 20_000_000, *chosen)
    counts = [_number("-n", word) for word in options["-n"].split(",")]
    runs = _number("--runs", options["--runs"])
    return Plan(counts, runs, 100, 20_000_000, *chosen)


def _number(option: str, word: str) -> int:
    if not (word.isascii() and word.isdecimal() and int(word)):
        raise UsageError(f"{option}: {word!r} is no number from 1 on")
    return int(word)


def _allow_descriptors(count: int) -> None:
    """The loop over bare ssh has two pipes a node."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if (wanted := 2 * count + 100) > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _measure(plan: Plan) -> str:
    """Measure everything; returns the report."""
    if plan.copies:
        with fleet(PRINTING) as nodes:
            return copies.report(nodes, plan.runs, _say)
    if plan.oneshots:
        with fleet(max(plan.counts)) as nodes:
            return oneshots.report(nodes, plan.counts, plan.runs, _say)
    program = peer.install()
    _say(f"Starting {max(plan.counts)} nodes")
    with fleet(max(plan.counts)) as nodes:
        shells = {count: _shells(plan, nodes, program, count) for count in plan.counts}
        count = min(PRINTING, max(plan.counts))
        course = Course(nodes, count, plan.size)
        rates: dict[str, Callable[[], Rate]] = {
            table.DUST: lambda: tool_rate(dust(), course),
            table.POLYSH: lambda: tool_rate(polysh(program, prompt=False), course),
            table.FLOOR: lambda: floor_rate(course),
        }
        return table.report(
            shells,
            _in_turns(f"output of {count} nodes", plan.runs, rates),
            runs=plan.runs,
            trips=plan.trips,
            printing=count,
            size=plan.size,
        )


def _shells(plan: Plan, nodes: Fleet, program: Path, count: int) -> dict[str, list[Sample]]:
    """Measure the sessions of every tool on that many nodes."""
    starts: dict[str, Callable[[], Shells]] = {
        table.DUST: lambda: ToolShells(dust(), nodes, count),
        table.POLYSH: lambda: ToolShells(polysh(program, prompt=True), nodes, count),
        table.FLOOR: lambda: FloorShells(nodes, count),
    }
    if plan.prompt:
        starts[table.PROMPT] = lambda: ToolShells(dust(prompt=True), nodes, count)
    measures = {name: partial(measure, start, plan.trips) for name, start in starts.items()}
    return _in_turns(f"shells of {count} nodes", plan.runs, measures)


def _in_turns(what: str, runs: int, measures: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Run all measures once, then again; each time another one is the first."""
    taken: dict[str, list[T]] = {name: [] for name in measures}
    names = list(measures)
    for run in range(runs):
        first = run % len(names)
        for name in names[first:] + names[:first]:
            _say(f"{what}, run {run + 1} of {runs}: {name}")
            taken[name].append(measures[name]())
    return taken


def _say(line: str) -> None:
    print(f"{line} ...", file=sys.stderr, flush=True)


def _end(number: int, frame: FrameType | None) -> None:
    """Leave by way of all clean-up, which no second signal may cut short."""
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
