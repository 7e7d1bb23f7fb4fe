"""Shared connections to jump hosts for one-shots: opened first, while those behind them wait."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from dust.jumps import Jump
from dust.limits import backoff

#: Seconds between two looks whether a connection is open.
LOOK = 0.02

T = TypeVar("T")


class _Gate(Generic[T]):
    """One jump host; `due` is when its ssh is to be started, 0 while it runs."""

    def __init__(self, jump: Jump, log: str) -> None:
        self.jump = jump
        self.log = log
        self.waiting: list[T] = []
        self.pid = 0
        self.first = self.due = 0.0
        self.tries = 0


class Gates(Generic[T]):
    """The jump hosts that are not yet reached, and who waits for each.

    `start` runs an ssh and returns its process id; `patience` is how many seconds a host that
    turns connections away is tried again.
    """

    def __init__(self, start: Callable[[list[str]], int], patience: float) -> None:
        self._start = start
        self._patience = patience
        self._gates: dict[str, _Gate[T]] = {}
        #: Their ssh calls that run.
        self.running: set[int] = set()

    def passes(self, jump: Jump, log: str, who: T) -> bool:
        """Whether the connection is open; if not, somebody waits. `log` is for its ssh's words."""
        gate = self._gates.get(jump.socket)
        if gate is None:
            if jump.is_open():
                return True
            gate = self._gates[jump.socket] = _Gate(jump, log)
        gate.waiting.append(who)
        return False

    def open(self) -> list[T]:
        """Start what is due; returns who may go on. Raises OSError."""
        passed: list[T] = []
        now = time.monotonic()
        for key, gate in list(self._gates.items()):
            if not gate.pid and now >= gate.due:
                gate.pid = self._start([*gate.jump.argv[:1], "-E", gate.log, *gate.jump.argv[1:]])
                self.running.add(gate.pid)
                gate.first = gate.first or now
                gate.tries += 1
            elif gate.pid and gate.jump.is_open():
                passed += self._gates.pop(key).waiting
        return passed

    @property
    def deadline(self) -> float | None:
        """When `open` is to be called again (monotonic seconds), or None."""
        now = time.monotonic()
        dues = [now + LOOK if gate.pid else gate.due for gate in self._gates.values()]
        return min(dues, default=None)

    def ended(self, pid: int, code: int) -> tuple[list[T], str]:
        """An ssh has ended: who is not to wait any longer, and why there is no way ("": go)."""
        self.running.discard(pid)
        gate = next((each for each in self._gates.values() if each.pid == pid), None)
        if gate is None:
            return [], ""
        if gate.jump.is_open():
            return self._gates.pop(gate.jump.socket).waiting, ""
        from dust import reasons  # few fail

        kind, sentence = reasons.reason(words(gate.log))
        now = time.monotonic()
        if reasons.overloaded(sentence) and now < gate.first + self._patience:
            os.unlink(gate.log)
            gate.pid, gate.due = 0, now + backoff(gate.tries)
            return [], ""
        why = sentence if kind == "ended" else f"{kind}: {sentence}"
        why = f"its jump host {gate.jump.name}: {why or f'ssh ended with status {code}'}"
        return self._gates.pop(gate.jump.socket).waiting, why

    def waiting(self) -> Iterable[T]:
        """Who waits."""
        return [who for gate in self._gates.values() for who in gate.waiting]


def words(log: str) -> str:
    """What an ssh wrote to its log; nothing where it had nothing to say."""
    try:
        with open(log, "rb") as file:
            return file.read(1 << 16).decode("utf-8", "replace")
    except OSError:
        return ""
