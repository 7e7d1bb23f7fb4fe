"""One measuring of one tool's sessions, from its start to its end."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench import processes
from bench.shells import Shells

#: Lines that are asked and not timed, seconds for the rest to settle, seconds of rest.
WARM_UP = 3
SETTLE = 1.0
REST = 5.0


@dataclass(frozen=True)
class Sample:
    """Seconds until ready, seconds of each round trip, bytes of memory, seconds of idle CPU.

    `own_memory` and `own_idle` are the parts of them that are not ssh's.
    """

    ready: float
    trips: list[float]
    memory: int
    own_memory: int
    idle: float
    own_idle: float


def measure(start: Callable[[], Shells], trips: int) -> Sample:
    """Start a tool, ask it `trips` lines, let it rest, end it."""
    begun = time.monotonic()
    with contextlib.closing(start()) as shells:
        ready = shells.ask(0) - begun
        for number in range(1, WARM_UP):
            shells.ask(number)
        taken = [_timed(shells, number) for number in range(WARM_UP, WARM_UP + trips)]
        shells.rest(SETTLE)
        every = shells.processes()
        own = [process for process in every if process.name != "ssh"]
        before, own_before = processes.cpu(every), processes.cpu(own)
        shells.rest(REST)
        idle, own_idle = processes.cpu(every) - before, processes.cpu(own) - own_before
        memory, own_memory = processes.memory(every), processes.memory(own)
    return Sample(ready, taken, memory, own_memory, idle, own_idle)


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _timed(shells: Shells, number: int) -> float:
    begun = time.monotonic()
    return shells.ask(number) - begun
