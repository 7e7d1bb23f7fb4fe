"""Which private modes a full-screen program has set on the terminal. Pure.

Needed when it loses the terminal, which goes back to the screen before it, and when it gets it
back: its screen and its ways with keys and mouse come back with it.
"""

from __future__ import annotations

import re

_SET = re.compile(rb"\x1b\[\?([0-9;]{1,32})([hl])")
#: Alternate screens and application cursor keys: what full-screen programs switch on.
_FULL_SCREEN = frozenset({b"1", b"47", b"1047", b"1049"})
#: The older alternate screens, with which a program keeps the cursor by itself.
_OLDER = frozenset({b"47", b"1047"})
#: Rows that count from the scroll region: off, which moves the cursor to the first of all.
_ORIGIN = b"6"
_ALL_ROWS = b"\x1b[?6l"
#: The last row of any screen, out of a scroll region.
_BOTTOM = b"\x1b[r\x1b[999H"
#: The longest beginning of a sequence that is kept for the next piece of output.
_TAIL = 40


class Modes:
    """The modes that are set, from the output of a program."""

    def __init__(self) -> None:
        self._set: dict[bytes, None] = {}
        self._tail = b""

    def feed(self, data: bytes) -> None:
        """Take in output, which may be cut anywhere."""
        if b"\x1b" not in data and not self._tail:
            return
        data = self._tail + data
        end = 0
        for match in _SET.finditer(data):
            end = match.end()
            for mode in match[1].split(b";"):
                self._set.pop(mode, None)
                if match[2] == b"h":
                    self._set[mode] = None
        at = data.rfind(b"\x1b", max(end, len(data) - _TAIL))
        self._tail = data[at:] if at >= 0 else b""

    @property
    def full_screen(self) -> bool:
        """Whether a full-screen program has the terminal."""
        return not _FULL_SCREEN.isdisjoint(self._set)

    def restored(self) -> bytes:
        """What sets the modes again."""
        return b"".join(b"\x1b[?" + mode + b"h" for mode in self._set)

    def leaving(self, running: bool) -> bytes:
        """What takes the cursor from a program to where lines go on.

        That is the screen before the alternate one, if that is on: to leave it once more would
        move the cursor to where it was long ago. A program that is `running` and has drawn on the
        only screen leaves its picture there, and lines go on below it.
        """
        if b"1049" in self._set:
            return _ALL_ROWS + b"\x1b[?1049l"
        if not _OLDER.isdisjoint(self._set):
            return _ALL_ROWS + b"\x1b[?47l\x1b8"
        if _ORIGIN in self._set or (running and self.full_screen):
            return _ALL_ROWS + _BOTTOM
        return b""

    def __bool__(self) -> bool:
        return bool(self._set)

    def clear(self) -> None:
        """The program is gone."""
        self._set.clear()
