"""A view that has the whole terminal for a while: drawn as things change, led by key presses."""

from __future__ import annotations

import os
import selectors
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from prompt_toolkit.input import create_input

from dust.coordinator import Coordinator
from dust.errors import UsageError
from dust.printer import is_dumb, write

#: Seconds between two drawings: at least, and at most while there is a time that runs.
PACE, TICK = 0.1, 1.0
#: The other screen, no cursor, no wrapping; and back, leaving nothing where there is no other.
_ENTER, _LEAVE = b"\x1b[?1049h\x1b[?25l\x1b[?7l", b"\x1b[H\x1b[J\x1b[?7h\x1b[?25h\x1b[?1049l"


class View(Protocol):
    """What is shown."""

    def lines(self, height: int, width: int) -> list[str]:
        """The lines of a screen of that size, none wider than it but for colours."""
        ...

    def key(self, name: str) -> bool:
        """Take a key, by its name in prompt_toolkit; whether it leaves the view."""
        ...


def show(
    view: View, sessions: Coordinator, running: Callable[[], bool], over: Callable[[], bool]
) -> None:
    """Show a view until a key leaves it or it is `over`; the sessions go on meanwhile.

    `running` says whether it shows a time that runs. Raises UsageError where the terminal cannot
    show it.
    """
    if not (os.isatty(0) and os.isatty(1)) or is_dumb():
        raise UsageError("this needs a terminal that can be drawn on")
    keys = create_input()
    pressed: list[str] = []

    def read(_: int) -> None:
        names = [press.key for press in [*keys.read_keys(), *keys.flush_keys()]]
        pressed.extend(getattr(name, "value", name) for name in names)
        if keys.closed:
            pressed.append("c-c")

    with keys.raw_mode(), _screen(), _watched(sessions, keys.fileno(), read):
        while not over():
            _draw(view)
            _wait(sessions, _after_one_turn(), TICK if running() else None)
            _wait(sessions, lambda: bool(pressed), PACE)  # what comes with it is drawn with it
            taken, pressed[:] = list(pressed), []
            if any([view.key(name) for name in taken]):
                return


def _after_one_turn() -> Callable[[], bool]:
    """False when it is first asked: whatever comes ends the wait."""
    answers = iter((False,))
    return lambda: next(answers, True)


def _wait(sessions: Coordinator, done: Callable[[], bool], timeout: float | None) -> None:
    """Let the sessions go on. Raises Ending if a signal is to end dust."""
    sessions.wait(done, timeout)
    sessions.heed_end()


def _draw(view: View) -> None:
    width, height = shutil.get_terminal_size()
    lines = view.lines(height, width)
    frame = "".join(f"\x1b[{at};1H{line}\x1b[K" for at, line in enumerate(lines, 1))
    write(1, frame.encode("utf-8", "replace"))


@contextmanager
def _screen() -> Iterator[None]:
    """Another screen than the one with the prompt on it."""
    write(1, _ENTER)
    try:
        yield
    finally:
        write(1, _LEAVE)


@contextmanager
def _watched(sessions: Coordinator, fd: int, ready: Callable[[int], None]) -> Iterator[None]:
    sessions.watch(fd, selectors.EVENT_READ, ready)
    try:
        yield
    finally:
        sessions.watch(fd, 0, ready)
