"""The switch between lines and raw mode, which is typed at the shell's prompt. Pure."""

from __future__ import annotations

from collections.abc import Callable

from dust.framing import READY, Framing


class Switch:
    """`write` types. What the terminal prints while it is `under_way` nobody wants to see."""

    def __init__(self, framing: Framing, write: Callable[[bytes], None]) -> None:
        self.under_way = False
        #: Whether keys were typed since the last prompt: a half-typed command may stand there.
        self.typed = False
        #: What was submitted meanwhile.
        self.held: list[bytes] = []
        self._framing = framing
        self._write = write
        #: What is typed at the next prompt; b"" where no switch is due.
        self.needed = b""

    def ask(self, line: bytes) -> None:
        """Have the line that switches typed: now, or at the next prompt."""
        self.needed = line
        if self._framing.state == READY and self.typed:
            self._framing.submit(b"")
            self.under_way = True
            self._write(b"\x03")  # gives a clean prompt
        elif self._framing.state == READY:
            self._type()

    def ended(self, otherwise: bytes = b"") -> None:
        """A line came to its end: type what is due, or `otherwise`, at this prompt."""
        self.typed = False
        self.needed = self.needed or otherwise
        if self.needed:
            self._type()

    def prompted(self) -> bool:
        """A prompt while it is under way; whether that is its end."""
        if self.needed:  # this prompt was Ctrl-C's
            self._type()
            return False
        self.under_way = self.typed = False
        return True

    def _type(self) -> None:
        line, self.needed = self.needed, b""
        self.under_way = True
        self._write(self._framing.submit(line))
