"""Signals as numbers on a descriptor: handlers only record, a loop acts."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

#: What asks a program to end.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signalled(Exception):
    """A signal asks to end: `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Signals:
    """While it is entered, these signals only make `fileno` readable; `caught` says which came.

    What is ignored, as SIGHUP is under nohup(1), stays so. `ending` is the last that came of those
    that ask to end, or 0.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        self.ending = 0
        self._numbers = numbers
        self._handlers: dict[int, Any] = {}
        self._before = -1

    def __enter__(self) -> Signals:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        self._before = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for number in self._numbers:
            if signal.getsignal(number) != signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._came)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        signal.set_wakeup_fd(self._before)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        os.close(self._reading)
        os.close(self._writing)

    def fileno(self) -> int:
        """A descriptor that is readable once a signal came."""
        return self._reading

    def caught(self) -> list[int]:
        """The numbers of the signals that came since the last call, in their order."""
        numbers: list[int] = []
        with suppress(BlockingIOError):
            while data := os.read(self._reading, 4096):
                numbers += data
        return numbers

    def _came(self, number: int, _frame: FrameType | None) -> None:
        if number in ENDING:
            self.ending = number
