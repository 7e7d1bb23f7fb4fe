"""Whether a terminal echoes the line that was typed, from what it prints next. Pure.

Echo is off in a session, until a program (`reset`, `stty sane`) turns it on again.
"""

from __future__ import annotations

import re

#: Longest line that is compared, in bytes: one that begins with so much of itself is echoed.
_ENOUGH = 256
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-9;?]*(?:[A-Za-z]|\Z)|\Z)|\r")


class Echo:
    """Compares what comes with a line that was typed."""

    def __init__(self, line: bytes) -> None:
        #: Whether all that came so far began with the line.
        self.heard = False
        self._line = (line + b"\n")[:_ENOUGH]
        self._came: bytes | None = b"" if line.strip() else None

    def feed(self, data: bytes) -> None:
        """Take in what is printed."""
        if self._came is None:
            return
        self._came += data[: 4 * _ENOUGH]
        came = _SEQUENCE.sub(b"", self._came)
        if len(came) >= len(self._line) or not self._line.startswith(came):
            self.heard = came.startswith(self._line)
            self._came = None
