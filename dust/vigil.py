"""Whether a shell has ended while its ssh goes on, for others who go through its connection."""

from __future__ import annotations

import time

from dust.terminal import Terminal

#: Seconds until the first look; each further one is twice as late.
FIRST = 0.5


class Vigil:
    """Looks now and then, once something was typed that may end the shell.

    An ssh whose own shell has ended says nothing, but takes its terminal out of raw mode.
    """

    def __init__(self, terminal: Terminal) -> None:
        #: When to `look` (monotonic seconds), or None.
        self.due: float | None = None
        self._terminal = terminal
        self._pause = FIRST
        self._raw = False  # whether the terminal ever was: that of a program that is no ssh is not

    def begin(self) -> None:
        """Something is typed, perhaps to a shell that has ended while nobody looked."""
        self._raw = self._raw or not self._terminal.echo
        if not self._raw:
            return
        self._pause = FIRST
        self.due = time.monotonic() + FIRST

    def end(self) -> None:
        """The shell is at its prompt."""
        self.due = None

    def look(self) -> bool:
        """Whether the shell has ended."""
        self._pause *= 2
        self.due = time.monotonic() + self._pause
        return self._terminal.echo
