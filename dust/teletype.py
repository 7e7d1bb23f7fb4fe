"""The prompt on a terminal that can only print (TERM=dumb), which edits its lines by itself."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress

from dust import config
from dust.history import FileHistory
from dust.plain import printable
from dust.printer import write
from dust.shell import Shell
from dust.signals import Signals
from dust.user import User

#: Milliseconds without output after which the prompt is printed again.
_QUIET = 200


class Teletype:
    """Reads lines and has the shell carry them out, until the user leaves.

    What the nodes print meanwhile comes at once, in lines of its own, and the prompt after it.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._context = shell.context
        self._user = User(shell)
        self._status = 0  # how the last line ended
        self._leaving: int | None = None  # with what status, once that is so
        self._begun = ""  # lines that go on in the next one
        self._read = b""  # what was typed and not taken yet
        self._shown = ""  # the prompt, while it is the last thing on the terminal
        size, problem = self._context.settings.history_size, self._context.printer.error
        self._history = FileHistory(config.home() / "history", size, problem)
        self._typed = [*self._history.load_history_strings()][::-1]
        self._context.typed = lambda: self._typed

    def run(self) -> int:
        """Read lines until the user leaves; returns the exit status."""
        pressed = False
        while self._leaving is None:
            try:
                if pressed:
                    pressed = False
                    self._interrupt()
                self._step()
            except KeyboardInterrupt:  # whatever it comes upon
                pressed = True
            except EOFError:
                if not os.isatty(0) or self._user.may_leave():  # the terminal may be gone
                    self._leaving = self._status
        return self._leaving

    def _step(self) -> None:
        text, self._begun = self._begun + self._line(), ""
        if self._shell.goes_on(text):
            self._begun = text + "\n"
            return
        self._remember(text)
        self._status = self._user.execute(text)
        self._leaving = self._user.leaves()

    def _interrupt(self) -> None:
        self._begun = ""
        if told := self._user.interrupt():
            self._context.printer.tell(told)

    def _message(self) -> str:
        if self._begun:
            return ">"
        states = (f" {count} {state}" for state, count in self._shell.status().items())
        return f"{printable(self._user.where)}{''.join(states)}$"

    def _remember(self, entry: str) -> None:
        if entry.strip() and entry not in self._typed[-1:]:
            self._typed.append(entry)
            self._history.store_string(entry)

    # --- one line, with output before it

    def _line(self) -> str:
        """The next line. Raises KeyboardInterrupt at Ctrl-C and EOFError at Ctrl-D."""
        while not self._gather():
            self._user.answer()
        line, _, self._read = self._read.partition(b"\n")
        return line.decode("utf-8", "surrogateescape")

    def _gather(self) -> bool:
        """Read until there is a line, with output before it; False if ssh asks something first."""
        printer, display = self._context.printer, self._context.display
        printer.flush()
        printer.above = self._print
        try:
            with Signals(signal.SIGINT) as signals:
                while b"\n" not in self._read and not display.questions:
                    self._turn(signals)
        finally:
            printer.above = None
            if display.questions:
                self._print(b"")
            self._shown = ""
        return not display.questions

    def _turn(self, signals: Signals) -> None:
        ready = self._wait(signals)
        if signals.fileno() in ready:
            self._shown = ""
            write(1, b"\n")  # behind the ^C that the terminal shows
            raise KeyboardInterrupt
        if self._context.has_sessions:
            self._context.sessions.pump(0)
        if 0 in ready:
            data = b""
            with suppress(OSError):  # the terminal is gone
                data = os.read(0, 1 << 16)
            if not data:
                self._print(b"")
                raise EOFError
            self._read += data

    def _wait(self, signals: Signals) -> list[int]:
        """Wait for a line, output or a signal; the prompt is shown once nothing comes."""
        watched = select.poll()
        watched.register(0, select.POLLIN)
        watched.register(signals, select.POLLIN)
        due = None
        if self._context.has_sessions:
            watched.register(self._context.sessions, select.POLLIN)
            due = self._context.sessions.deadline
        if self._shown != self._message():
            if ready := watched.poll(_QUIET if self._context.has_sessions else 0):
                return [fd for fd, _ in ready]
            self._print(b"")
            self._shown = self._message()
            write(1, f"{self._shown} ".encode("utf-8", "replace"))
        left = None if due is None else max(0.0, due - time.monotonic()) * 1000
        return [fd for fd, _ in watched.poll(left)]

    def _print(self, data: bytes) -> None:
        write(1, (b"\n" if self._shown else b"") + data)
        self._shown = ""
