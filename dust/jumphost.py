"""The connection to a jump host, in its worker: an ssh that runs nothing there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress

from dust import messages, reasons
from dust.framing import Framing
from dust.login import Login
from dust.plain import printable
from dust.terminal import Terminal

#: Seconds of quiet after which a line without an end may be a question; between two looks whether
#: the connection is open.
PARTIAL, LOOK = 0.2, 0.02


class JumpHost:
    """It is open when its socket is there, and lives until its ssh or its worker ends.

    To its worker it is like a session that nothing is sent to. `emit` takes its messages.
    """

    def __init__(self, opening: messages.Open, emit: Callable[[messages.Message], None]) -> None:
        self._socket = opening.socket
        with suppress(OSError):  # one that was killed has left it
            os.unlink(self._socket)
        self.terminal = Terminal(opening.argv, opening.rows, opening.columns)
        self.over = False
        self._emit = emit
        self._login = Login(opening, self.terminal, Framing(opening.nonce), emit)
        self._partial_at: float | None = None
        self._look_at: float | None = time.monotonic() + LOOK

    def answer(self, text: bytes) -> None:
        """Answer the question that ssh asked."""
        self._login.answered(text)

    def read(self) -> None:
        """Take in what ssh says."""
        try:
            data = self.terminal.read()
        except EOFError:
            self._end_of_terminal()
            return
        if self._look_at is not None:
            self._login.heard(data)
            self._partial_at = time.monotonic() + PARTIAL if self._login.line else None

    @property
    def deadline(self) -> float | None:
        """When `tick` is due (monotonic seconds), or None."""
        if self._look_at is None:
            return None
        times = (self._login.deadline, self._partial_at, self._look_at)
        return min(at for at in times if at is not None)

    def tick(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        if os.path.exists(self._socket):
            self._look_at = None
            self._emit(messages.Opened(b""))
            return
        self._look_at = now + LOOK
        if self._partial_at is not None and now >= self._partial_at:
            self._partial_at = None
            self._login.look_for_question()
        if self._login.deadline is not None and now >= self._login.deadline:
            self.close()
            self._emit(messages.Lost("timed out", self._login.tick(), -1))

    def close(self) -> None:
        """End the connection."""
        self.over = True
        self.terminal.close()

    def _end_of_terminal(self) -> None:
        status = self.terminal.reap()
        if self._look_at is None:
            kind, text = reasons.lost(self.terminal.last)
        else:
            kind, text = reasons.reason(self._login.said)
        self.close()
        self._emit(messages.Lost(kind, printable(text) or "its connection ended", status))
