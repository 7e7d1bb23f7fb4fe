"""What the processes of a tool use, read from /proc, and their end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process, told apart from a later one with its number by `begun`, its time of start."""

    pid: int
    begun: str
    name: str


def tree(root: int) -> list[Process]:
    """A process and all that descend from it."""
    children: dict[int, list[Process]] = {}
    found: list[Process] = []
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and (read := _read(int(entry.name))):
            process, parent = read
            children.setdefault(parent, []).append(process)
            if process.pid == root:
                found.append(process)
    for process in found:
        found += children.get(process.pid, [])
    return found


def memory(processes: Iterable[Process]) -> int:
    """The proportional set size of these processes, in bytes: shared pages count once."""
    total = 0
    for process in processes:
        for line in (PROC / str(process.pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def cpu(processes: Iterable[Process]) -> float:
    """The processor time that all threads of these processes have used, in seconds.

    From schedstat, which counts nanoseconds; stat counts hundredths of a second.
    """
    total = 0
    for process in processes:
        for thread in (PROC / str(process.pid) / "task").iterdir():
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def end(processes: Iterable[Process], patience: float) -> None:
    """Wait until these have ended; those that last longer than `patience` seconds are killed."""
    left = _wait(list(processes), patience)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)
        left = _wait(left, patience)
    if left:
        raise RuntimeError(f"these processes do not end: {left}")


def _wait(processes: list[Process], patience: float) -> list[Process]:
    """Those of these processes that still live after `patience` seconds."""
    deadline = time.monotonic() + patience
    return [process for process in processes if not _ended(process, deadline)]


def _ended(process: Process, deadline: float) -> bool:
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        read = _read(process.pid)
        if read is None or read[0] != process:
            return True
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
    finally:
        os.close(handle)


def _read(pid: int) -> tuple[Process, int] | None:
    """A living process and the number of its parent."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    if fields[0] in "ZX":
        return None
    return Process(pid, fields[19], head.partition("(")[2]), int(fields[1])
