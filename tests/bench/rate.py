"""How fast the output of many nodes goes through a tool into a file."""

from __future__ import annotations

import os
import select
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bench import processes
from bench.fleet import Fleet
from bench.tools import LIMIT, PATIENCE, Tool, environment
from dust.errors import DustError

LINE = b"0123456789" * 7 + b"abcdefghi\n"  # 80 bytes, as in the middle of a log
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Rate:
    """MB/s of the nodes' own output, and how many of their lines did not arrive whole."""

    speed: float
    damaged: int


class Course:
    """Nodes that all wait at a gate, each with a file to print behind it.

    The gate is a pipe: a node takes one byte from it. At another pipe it says that it waits.
    """

    def __init__(self, fleet: Fleet, count: int, size: int) -> None:
        self.fleet = fleet
        self.count = count
        self.lines = size // len(LINE)
        self._waiting = fleet.directory / "waiting"
        self._gate = fleet.directory / "gate"
        self._payload = fleet.directory / "payload"
        self._payload.write_bytes(LINE * self.lines)

    @property
    def command(self) -> str:
        """What a node runs."""
        waiting, gate, payload = (
            shlex.quote(str(path)) for path in (self._waiting, self._gate, self._payload)
        )
        return f"echo >{waiting}; dd bs=1 count=1 <{gate} >/dev/null 2>/dev/null; cat {payload}"

    @contextmanager
    def gate(self) -> Iterator[tuple[int, int]]:
        """Make both pipes; yields the waiting nodes' and the gate's descriptor."""
        paths = (self._waiting, self._gate)
        for path in paths:
            os.mkfifo(path, 0o600)
        try:
            pipes = os.open(paths[0], os.O_RDWR), os.open(paths[1], os.O_RDWR)
            try:
                yield pipes
            finally:
                for pipe in pipes:
                    os.close(pipe)
        finally:
            for path in paths:
                path.unlink()


def tool_rate(tool: Tool, course: Course) -> Rate:
    """Measure a tool that reads the one line from a pipe and prints into a file."""
    argv = tool.argv(course.fleet, course.count)
    line = f"{tool.prefix}{course.command}\n".encode()
    return _rate(course, [argv], line)


def floor_rate(course: Course) -> Rate:
    """Measure one `ssh -tt` a node, each printing into a file of its own."""
    config = str(course.fleet.ssh_config(course.count))
    names = course.fleet.names(course.count)
    return _rate(course, [["ssh", "-F", config, "-tt", name, course.command] for name in names])


def _rate(course: Course, calls: list[list[str]], line: bytes = b"") -> Rate:
    """Run these calls; time from opening the gate to the last byte in their output files."""
    outputs = [course.fleet.directory / f"output.{at}" for at in range(len(calls))]
    errors = course.fleet.directory / "errors"
    running: list[subprocess.Popen[bytes]] = []
    try:
        with course.gate() as (waiting, gate), errors.open("wb") as stderr:
            for argv, output in zip(calls, outputs, strict=True):
                with output.open("wb") as stdout:
                    running.append(_start(argv, course.fleet, line, stdout.fileno(), stderr))
            try:
                _await(waiting, course.count, running)
                begun = time.time()
                os.write(gate, bytes(course.count))
                for process in running:
                    process.wait(LIMIT)
            except (DustError, subprocess.TimeoutExpired) as error:
                said = errors.read_text(errors="replace")[-1000:]
                raise DustError(f"{' '.join(calls[0][:2])}: {error}; it said: {said}") from error
        ended = max(output.stat().st_mtime for output in outputs)
        arrived = sum(_count(output) for output in outputs)
        wanted = course.lines * course.count
        return Rate(wanted * len(LINE) / 1e6 / (ended - begun), wanted - arrived)
    finally:
        left = [found for process in running for found in processes.tree(process.pid)]
        for process in running:
            process.terminate()
        processes.end(left, PATIENCE)
        for process in running:
            process.wait()
        for output in outputs:
            output.unlink(missing_ok=True)


def _start(
    argv: list[str], fleet: Fleet, line: bytes, stdout: int, stderr: BinaryIO
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        argv,
        env=environment(fleet.directory / "home"),
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
    assert process.stdin
    with process.stdin as stdin:
        stdin.write(line)
    return process


def _await(waiting: int, count: int, running: list[subprocess.Popen[bytes]]) -> None:
    """Wait until that many nodes stand at the gate."""
    poll = select.poll()
    poll.register(waiting, select.POLLIN)
    handles = [os.pidfd_open(process.pid) for process in running]
    try:
        for handle in handles:
            poll.register(handle, select.POLLIN)
        deadline = time.monotonic() + LIMIT
        while count > 0:
            ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not ready:
                raise DustError(f"{count} nodes did not begin")
            if any(fd != waiting for fd, _ in ready):
                raise DustError("it has ended before its nodes began")
            count -= len(os.read(waiting, count))
    finally:
        for handle in handles:
            os.close(handle)


def _count(path: Path) -> int:
    """How many whole lines of the payload a file has."""
    found, rest = 0, b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            data = rest + block
            found += data.count(LINE[:-1])
            rest = data[-(len(LINE) - 2) :]
    return found
