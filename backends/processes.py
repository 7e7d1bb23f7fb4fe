"""The processes of nodes that run on this machine: who belongs to which, and ending them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dust.backends.launch import LINUX, SSHD_DIR, linux_stat, marks, ps

# Seconds until processes that ignore the polite signals are killed, and until we give up.
GRACE = 2.0
LIMIT = 10.0


@dataclass(frozen=True)
class Process:
    """A process, told from a later one with the same id by its mark."""

    pid: int
    mark: str


@dataclass(frozen=True)
class Anchor:
    """What the processes of one node have in common: its sshd, its home, its sshd directory."""

    listener: Process | None
    home: Path
    sshd: Path


def alive(processes: Iterable[Process]) -> set[Process]:
    """Return those of these processes that still run."""
    wanted = set(processes)
    now = marks({process.pid for process in wanted})
    return {process for process in wanted if now.get(process.pid) == process.mark}


def members(anchors: Mapping[str, Anchor]) -> dict[str, set[Process]]:
    """Find the living processes of each node, by its key in `anchors`.

    They are its sshd and all below it; on Linux also those that have detached themselves, told by
    the node's mount namespace or, where it has none, by the home in their environment.
    """
    table = _table()
    listeners = alive(anchor.listener for anchor in anchors.values() if anchor.listener)
    owners = {
        anchor.listener.pid: key
        for key, anchor in anchors.items()
        if anchor.listener in listeners and anchor.listener
    }
    if LINUX:
        owners.update(_detached(table, anchors))
    owned = {pid: key for pid in table if (key := _inherited(pid, table, owners)) is not None}
    found: dict[str, set[Process]] = {key: set() for key in anchors}
    for pid, mark in marks(owned).items():
        found[owned[pid]].add(Process(pid, mark))
    return found


def end(anchors: Mapping[str, Anchor]) -> dict[str, set[Process]]:
    """End all processes of these nodes, all at once; returns what would not end, by node.

    Asks as a machine that goes down does, and kills what still runs after `GRACE` seconds.
    """
    begun = time.monotonic()
    asked: set[Process] = set()
    known: dict[str, set[Process]] = {key: set() for key in anchors}
    while True:
        for key, processes in members(anchors).items():
            known[key] = alive(known[key]) | processes
        current = {process for processes in known.values() for process in processes}
        passed = time.monotonic() - begun
        if not current or passed > LIMIT:
            return {key: processes for key, processes in known.items() if processes}
        if passed > GRACE:
            _send(current, signal.SIGKILL)
        else:
            # An interactive shell ignores TERM, a program under nohup HUP, a stopped one both.
            for signum in signal.SIGTERM, signal.SIGHUP, signal.SIGCONT:
                _send(current - asked, signum)
        asked |= current
        _settle(current, 0.25)


def _settle(processes: set[Process], seconds: float) -> None:
    """Wait until these have ended, at most so long."""
    deadline = time.monotonic() + seconds
    delay = 0.002
    while alive(processes) and time.monotonic() < deadline:
        time.sleep(delay)
        delay = min(delay * 1.5, 0.05)


def _send(processes: Iterable[Process], signum: signal.Signals) -> None:
    for process in processes:
        # One of another user's (sudo) ends with its terminal, or is reported in the end.
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, signum)


def _table() -> dict[int, int]:
    """Every process's parent."""
    if not LINUX:
        return {pid: parent for pid, (parent, _) in ps().items()}
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return {pid: stat[0] for pid in pids if (stat := linux_stat(pid))}


def _inherited(pid: int, table: Mapping[int, int], owners: Mapping[int, str]) -> str | None:
    """The node of a process or of its nearest ancestor that has one."""
    while pid:
        if pid in owners:
            return owners[pid]
        pid = table.get(pid, 0)
    return None


def _detached(pids: Iterable[int], anchors: Mapping[str, Anchor]) -> Iterator[tuple[int, str]]:
    """Processes that say themselves to which node they belong."""
    directories = dict(_identities(anchors))
    homes = {b"HOME=" + os.fsencode(anchor.home): key for key, anchor in anchors.items()}
    spaces: dict[str, str | None] = {os.readlink("/proc/self/ns/mnt"): None}
    mine = os.geteuid()
    for pid in pids:
        # A process that ends meanwhile, or is another user's, is none of ours.
        with suppress(OSError):
            if mine and os.stat(f"/proc/{pid}").st_uid != mine:
                continue
            space = os.readlink(f"/proc/{pid}/ns/mnt")
            if space not in spaces:
                spaces[space] = _owner(pid, directories)
            key = spaces[space]
            if key is None:
                with open(f"/proc/{pid}/environ", "rb") as file:
                    words = file.read().split(b"\0")
                key = next((homes[word] for word in words if word in homes), None)
            if key is not None:
                yield pid, key


def _owner(pid: int, directories: Mapping[tuple[int, int], str]) -> str | None:
    """The node whose sshd directory the process sees as its own."""
    try:
        return directories.get(_identity(f"/proc/{pid}/root{SSHD_DIR}"))
    except FileNotFoundError:
        return None


def _identities(anchors: Mapping[str, Anchor]) -> Iterator[tuple[tuple[int, int], str]]:
    for key, anchor in anchors.items():
        with suppress(FileNotFoundError):
            yield _identity(anchor.sshd), key


def _identity(path: str | Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino
