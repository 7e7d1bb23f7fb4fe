"""Who is asked what ssh asks: the user at the terminal, or a program that the user has for it."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Protocol

#: Seconds after which a wait for the user looks whether it should go on.
_PATIENCE = 0.2


class Asker(Protocol):
    """Somebody to be asked."""

    def ask(self, text: str, secret: bool, stop: Callable[[], bool]) -> str | None:
        """The answer; None if there is none, or at `stop`."""


class Terminal:
    """The user, at the terminal that this process belongs to."""

    def __init__(self) -> None:
        """Raises OSError where there is none."""
        self._fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)

    def ask(self, text: str, secret: bool, stop: Callable[[], bool]) -> str | None:
        """Wait for a line, which is not shown if it is secret."""
        if os.tcgetpgrp(self._fd) != os.getpgrp():
            what = f"dust-at: {text} (not asked: this is a job in the background)"
            print(what, file=sys.stderr)
            return None
        with self._quiet() if secret else nullcontext():
            os.write(self._fd, f"{text.rstrip()} ".encode("utf-8", "replace"))
            line = b""
            while not stop():
                if select.select([self._fd], [], [], _PATIENCE)[0]:
                    line += os.read(self._fd, 4096)
                    if not line or line.endswith(b"\n"):
                        break
        if secret or not line.endswith(b"\n"):
            os.write(self._fd, b"\n")
        return os.fsdecode(line[:-1]) if line.endswith(b"\n") else None

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """What is typed is not shown."""
        import termios  # few runs ask

        before = termios.tcgetattr(self._fd)
        quiet = termios.tcgetattr(self._fd)
        quiet[3] &= ~termios.ECHO
        termios.tcsetattr(self._fd, termios.TCSAFLUSH, quiet)
        try:
            yield
        finally:
            termios.tcsetattr(self._fd, termios.TCSAFLUSH, before)


class Program:
    """The program that the user has for ssh's questions (SSH_ASKPASS)."""

    def __init__(self, path: str) -> None:
        self._path = path

    def ask(self, text: str, secret: bool, stop: Callable[[], bool]) -> str | None:
        """Run it, and wait for it."""
        from subprocess import DEVNULL, PIPE, run  # most runs ask nothing

        try:
            done = run([self._path, text], stdin=DEVNULL, stdout=PIPE, check=False)
        except OSError as error:
            print(f"dust-at: SSH_ASKPASS is {self._path}: {error.strerror}", file=sys.stderr)
            return None
        return os.fsdecode(done.stdout).partition("\n")[0] if done.returncode == 0 else None


def asker() -> Asker | None:
    """Whom ssh itself would ask, by its own rules; None where it would ask nobody."""
    if program := own_program(terminal=True):
        return program
    with suppress(OSError):
        return Terminal()
    return own_program(terminal=False)


def own_program(*, terminal: bool) -> Program | None:
    """The user's program, if ssh would call it where there is a `terminal` (or is none)."""
    path = os.environ.get("SSH_ASKPASS", "")
    required = os.environ.get("SSH_ASKPASS_REQUIRE", "").lower()
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    shown = screen and (required == "prefer" or not (terminal or required == "never"))
    return Program(path) if path and (required == "force" or shown) else None
