"""Raw mode, the coordinator's side: the user's terminal goes to one worker and comes back."""

from __future__ import annotations

import contextlib
import os
import termios
from collections.abc import Iterator

from dust.context import Context
from dust.coordinator import Coordinator
from dust.errors import SessionError, UsageError
from dust.link import CONNECTING, LIVE, Link
from dust.node import Node
from dust.printer import is_dumb

#: Puts right what a program may leave behind when its session breaks: the scroll region, whose
#: end moves the cursor unless that is kept, inserting, line drawing, cursor keys and keypad,
#: reversed screen, no wrapping, hidden cursor, mouse, focus, pasting, keys with modifiers, colours.
_RESET = (
    b"\x1b7\x1b[r\x1b8\x1b[4l\x0f\x1b(B\x1b[?1l\x1b>\x1b[?5l\x1b[?7h\x1b[?25h"
    b"\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1005l\x1b[?1006l\x1b[?1015l"
    b"\x1b[?2004l\x1b[>4m\x1b[0m"
)
#: A line of its own, with nothing beside and below it.
_NEW_LINE = b"\r\n\x1b[J"


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
    context.display.keep(True)
    try:
        with _terminal_kept(sessions, link):
            sessions.attach(link, (0, 1), *_size())
            while not sessions.wait(lambda: not link.attached):
                sessions.heed_end()
                sessions.resize(link, *_size())
    finally:
        context.display.keep(False)  # on a terminal that is ours again
    if link.state not in LIVE:
        context.printer.tell(f"{node.name}: back in the cluster shell")
    else:
        context.printer.tell(f"{node.name}: left as it is; @{node.name} goes back to it")


def _size() -> tuple[int, int]:
    columns, rows = os.get_terminal_size(0)
    return rows, columns


@contextlib.contextmanager
def _terminal_kept(sessions: Coordinator, link: Link) -> Iterator[None]:
    """Put the terminal's modes and screen right afterwards, whatever happened."""
    before = termios.tcgetattr(0)
    try:
        yield
    finally:
        sessions.regain(link)
        with contextlib.suppress(termios.error, OSError):  # it may be gone
            termios.tcsetattr(0, termios.TCSADRAIN, before)
            os.write(1, b"\r\n" if is_dumb() else link.leaving + _RESET + _NEW_LINE)
