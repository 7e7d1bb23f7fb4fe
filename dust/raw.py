"""Raw mode, the coordinator's side: the user's terminal goes to one worker and comes back."""

from __future__ import annotations

import contextlib
import os
import signal
import termios
from collections.abc import Iterator

from dust.context import Context
from dust.errors import SessionError, UsageError
from dust.link import CONNECTING, LIVE
from dust.node import Node

#: Puts right what a full-screen program may leave behind when its session breaks: alternate
#: screen, cursor keys, hidden cursor, mouse, pasting, colours.
_RESET = b"\x1b[?1049l\x1b[?1l\x1b>\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?2004l\x1b[0m"


def attach(context: Context, node: Node) -> None:
    """Give the user's terminal to a node's session until it comes back or the session ends.

    Raises UsageError without a terminal, SessionError if the session cannot be opened.
    """
    if not (os.isatty(0) and os.isatty(1)):
        raise UsageError("raw mode needs a terminal; give a command after the target instead")
    sessions = context.sessions
    sessions.open([node])
    link = sessions.links[node.id]
    context.waiter.wait(lambda: link.state != CONNECTING)
    if link.state not in LIVE:
        raise SessionError(node.name, link.reason)
    context.printer.flush()
    with _terminal_kept():
        context.display.keep(True)
        sessions.attach(link, (0, 1), *_size())
        try:
            while not sessions.wait(lambda: not link.attached):
                if ended := {signal.SIGTERM, signal.SIGHUP} & set(sessions.caught):
                    raise SystemExit(128 + ended.pop())
                sessions.resize(link, *_size())
        finally:
            context.display.keep(False)
    if link.state not in LIVE:
        context.printer.tell(f"{node.name}: back in the cluster shell")
    else:
        context.printer.tell(f"{node.name}: left as it is; @{node.name} goes back to it")


def _size() -> tuple[int, int]:
    columns, rows = os.get_terminal_size(0)
    return rows, columns


@contextlib.contextmanager
def _terminal_kept() -> Iterator[None]:
    """Put the terminal's modes and screen right afterwards, whatever happened."""
    before = termios.tcgetattr(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        os.write(1, _RESET + b"\r\n")
