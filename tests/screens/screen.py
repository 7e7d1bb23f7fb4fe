"""A program in a pty of its own, and the screen that a person would see."""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Callable, Mapping
from types import TracebackType

import pexpect
import pyte

#: What moves the cursor or sets colours.
_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class _Terminal(pyte.HistoryScreen):
    """pyte's screen, which takes xterm's private `CSI > ... m` (modified keys) for colours."""

    def select_graphic_rendition(self, *attributes: int, private: bool = False) -> None:
        """Set colours, unless the sequence is not about colours."""
        if not private:
            super().select_graphic_rendition(*attributes)


class Screen:
    """Runs `argv` on a terminal; `text` is what stands on it. Waits for what is to be seen."""

    def __init__(
        self, argv: list[str], env: Mapping[str, str], rows: int = 24, columns: int = 80
    ) -> None:
        self._screen = _Terminal(columns, rows, history=5000)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self.child = pexpect.spawn(
            argv[0],
            argv[1:],
            env={"TERM": "xterm-256color", **env},
            dimensions=(rows, columns),
            timeout=None,
        )
        self.child.delaybeforesend = None

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            print(f"--- the screen was\n{self.text}\n---")
        self.child.close(force=True)

    @property
    def pid(self) -> int:
        """The program's process."""
        assert self.child.pid is not None
        return self.child.pid

    @property
    def lines(self) -> list[str]:
        """The lines of the screen, with those that scrolled away before them."""
        columns = self._screen.columns
        gone = [
            "".join(row[x].data for x in range(columns)).rstrip()
            for row in self._screen.history.top
        ]
        return gone + [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        """All lines as one text, empty ones at the end left out."""
        return "\n".join(self.lines).rstrip()

    @property
    def last(self) -> str:
        """The last line that is not empty."""
        return self.text.rpartition("\n")[2]

    def send(self, text: str) -> None:
        """Type."""
        self.child.send(text.encode())

    def line(self, text: str) -> None:
        """Type a line."""
        self.send(text + "\r")

    def forget(self) -> None:
        """Empty the screen on this side, so that only what comes now is seen."""
        self._screen.reset()

    def resize(self, rows: int, columns: int) -> None:
        """Change the terminal's size."""
        self._screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def wait(self, seen: Callable[[str], object], seconds: float = 20) -> str:
        """Wait until `seen` is true of the text; returns the text."""
        deadline = time.monotonic() + seconds
        while not seen(self.text):
            left = deadline - time.monotonic()
            assert left > 0, f"not seen within {seconds} s; the screen is\n{self.text}"
            self._read(left)
        return self.text

    def wait_for(self, text: str, count: int = 1, seconds: float = 20) -> str:
        """Wait until a text stands on the screen that many times."""
        return self.wait(lambda seen: seen.count(text) >= count, seconds)

    def skim(self, seen: Callable[[str], object], seconds: float = 20) -> str:
        """Wait until `seen` is true of the last of a flood, which is not drawn; returns that.

        What is drawn afterwards begins on an empty screen.
        """
        deadline, text = time.monotonic() + seconds, ""
        while not seen(text):
            left = deadline - time.monotonic()
            assert left > 0, f"not seen within {seconds} s; the end is\n{text}"
            if select.select([self.child.child_fd], [], [], left)[0]:
                data = os.read(self.child.child_fd, 1 << 16)
                text = (text + _SEQUENCE.sub("", data.decode("utf-8", "replace")))[-4096:]
        self.forget()
        return text

    def wait_for_end(self, seconds: float = 20) -> int:
        """Wait until the program has ended; returns its status, 128 + the signal if by one."""
        deadline = time.monotonic() + seconds
        while self.child.isalive():
            left = deadline - time.monotonic()
            assert left > 0, f"still running after {seconds} s; the screen is\n{self.text}"
            self._read(min(left, 0.05))
        self._read(0)
        status = self.child.exitstatus
        return status if status is not None else 128 + (self.child.signalstatus or 0)

    def _read(self, seconds: float) -> None:
        try:
            if select.select([self.child.child_fd], [], [], seconds)[0]:
                data = os.read(self.child.child_fd, 1 << 16)
                self.raw += data
                self._stream.feed(data)
        except OSError:
            time.sleep(0.01)  # the other side has closed it; its end is seen by isalive
