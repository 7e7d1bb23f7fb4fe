"""What was measured, as one table with its footnotes."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeVar

from tabulate import tabulate

from bench import measure, peer
from bench.measure import Sample, percentile
from bench.rate import Rate

#: The tools, in the order of the columns.
DUST, PROMPT, POLYSH, FLOOR = "dust", "dust's prompt", "polysh", "ssh -tt"
COLUMNS = (DUST, POLYSH, FLOOR, PROMPT)

T = TypeVar("T")
Samples = Mapping[str, Sequence[Sample]]
Rates = Mapping[str, Sequence[Rate]]

NOTES = """\
Every figure is the median of {runs} run(s); a run is one tool from its start to its end, and the
runs of the tools take turns. Ratios are dust to polysh. Nodes and tools share this machine, and all
tools the same ssh_config (curve25519, no agent). dust: lines come through a pipe and go out through
a pipe. polysh: on a terminal, the only way in which it holds its shells open for line after line.
dust's prompt: on a terminal too. ssh -tt: one ssh a node and one loop of bare reads and writes
within the bench; no labels, no states.
 1 From starting the process until the first `echo` has come back from all nodes; for polysh that
   is sent when its prompt says that all are ready, for the others at once.
 2 From writing a line `echo WORD` until the WORD of every node was read, each behind its node's
   label (checked; not ssh -tt). {trips} lines a run, the first {warm_up} of a session not counted.
   The next line waits until the tool is done with this one, which is not counted: polysh shows its
   prompt again, dust answers a local command.
 3 PSS of /proc/PID/smaps_rollup, summed over the tool's process and all that descend from it, ssh
   clients included, after the round trips and the rest. ssh -tt: the clients alone.
 4 Processor time of the same processes in {rest:.0f} s without input, {settle:.0f} s after the last
   line; from /proc/PID/task/*/schedstat, which counts nanoseconds. What ssh uses there is its
   answer to ServerAliveInterval, which Dust sets where nobody else does, and polysh does not.
 5 {printing} nodes print {size:.0f} MB each, in lines of 80 bytes; every tool reads the one line
   from a pipe and prints into a file. From letting all nodes go at once, when all sessions are open
   and the command runs, until the file was last written to. Labels do not count as output.
   ssh -tt: a file a node. {damage}"""


def report(
    shells: Mapping[int, Samples], rates: Rates, *, runs: int, trips: int, printing: int, size: int
) -> str:
    """The table, the machine, and how the figures were taken.

    `runs` and `trips` are how many were made, `printing` nodes printed `size` bytes each.
    """
    rows = [row for count, samples in shells.items() for row in _shell_rows(count, samples)]
    label = f"output of {printing} nodes, MB/s [5]"
    rows.append(_row(label, rates, lambda rate: rate.speed, "{:.1f}", "5.00 times"))
    table = [["", *COLUMNS, "ratio", "goal"], *rows]
    filled = [column for column in zip(*table, strict=True) if any(column[1:])]
    headers, *rows = map(list, zip(*filled, strict=True))
    align = ("left", *["right"] * (len(headers) - 1))
    body = tabulate(rows, headers=headers, colalign=align, disable_numparse=True)
    notes = NOTES.format(
        runs=runs,
        trips=trips,
        printing=printing,
        size=size / 1e6,
        warm_up=measure.WARM_UP,
        settle=measure.SETTLE,
        rest=measure.REST,
        damage=_damage(rates),
    )
    return f"{body}\n\n{_machine()}\n\n{notes}"


def _shell_rows(count: int, samples: Samples) -> list[list[str]]:
    def row(
        label: str, value: Callable[[Sample], float], form: str = "{:.1f}", goal: str = ""
    ) -> list[str]:
        return _row(f"{count} nodes: {label}", samples, value, form, goal)

    return [
        row("all ready, s [1]", lambda s: s.ready, "{:.2f}", "1.00 times"),
        row("echo p50, ms [2]", lambda s: percentile(s.trips, 0.5) * 1e3, goal="1.00 times"),
        row("echo p99, ms [2]", lambda s: percentile(s.trips, 0.99) * 1e3, goal="1.00 times"),
        row("memory, MB [3]", lambda s: s.memory / 1e6),
        row("memory a session, MB [3]", lambda s: s.memory / 1e6 / count, "{:.2f}", "3.20 MB"),
        row("  but for ssh, MB", lambda s: s.own_memory / 1e6 / count, "{:.2f}"),
        row("CPU at rest, ms [4]", lambda s: s.idle * 1e3, "{:.2f}", "0 ms"),
        row("  but for ssh, ms", lambda s: s.own_idle * 1e3, "{:.2f}", "0 ms"),
    ]


def _row(
    label: str,
    taken: Mapping[str, Sequence[T]],
    value: Callable[[T], float],
    form: str,
    goal: str,
) -> list[str]:
    """The median of each tool, and dust's share of polysh's."""
    medians = {name: median(map(value, runs)) for name, runs in taken.items() if runs}
    cells = [form.format(medians[name]) if name in medians else "" for name in COLUMNS]
    ratio = f"{medians[DUST] / medians[POLYSH]:.2f}" if medians[POLYSH] else ""
    return [label, *cells, ratio, goal]


def _damage(rates: Rates) -> str:
    """What did not arrive whole, in a sentence."""
    damaged = {name: max(rate.damaged for rate in runs) for name, runs in rates.items() if runs}
    said = [f"{name} {lines:,} in one run" for name, lines in damaged.items() if lines]
    return f"Lines that did not arrive whole: {', '.join(said) or 'none'}."


def _machine() -> str:
    client = subprocess.run(["ssh", "-V"], capture_output=True, text=True).stderr.strip()
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()} {platform.machine()}, "
        f"Python {platform.python_version()}, {client}, polysh {peer.VERSION}"
    )
