"""The way out of raw mode: Ctrl-C three times in a row. Pure.

A Ctrl-C is held back for a moment, since one that goes back to the cluster shell must not end the
program on the way. A single one is late by `HOLD`; nothing else that is typed waits.
"""

from __future__ import annotations

CTRL_C = 0x03
#: How many in a row leave, and how many seconds the next may take.
TIMES, HOLD = 3, 0.4


class Escape:
    """Takes what is typed; says what to pass on and whether to leave."""

    def __init__(self) -> None:
        self.held = 0
        #: When held bytes are due (monotonic seconds), or None.
        self.deadline: float | None = None

    def feed(self, data: bytes, now: float) -> tuple[bytes, bool]:
        """(what to pass on, whether to leave). What follows the way out is dropped."""
        passed = bytearray()
        for byte in data:
            if byte != CTRL_C:
                passed += b"\x03" * self.held
                passed.append(byte)
                self.held = 0
                continue
            self.held += 1
            if self.held == TIMES:
                self.held = 0
                self.deadline = None
                return bytes(passed), True
        self.deadline = now + HOLD if self.held else None
        return bytes(passed), False

    def release(self) -> bytes:
        """The held bytes, whose time is up: they were meant for the program."""
        held, self.held, self.deadline = self.held, 0, None
        return b"\x03" * held
