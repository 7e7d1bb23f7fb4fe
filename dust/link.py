"""The coordinator's end of one session, its states, and who is told what happens to it."""

from __future__ import annotations

import socket
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from dust import messages
from dust.jumps import Jump
from dust.node import Node
from dust.plain import strip_colours
from dust.run import Result, Run

#: States of a session, as people see them. `unfinished`: the shell waits for the rest of a line.
CONNECTING, READY, BUSY, WAITING, UNFINISHED, DOWN = (
    "connecting", "ready", "busy", "waiting", "unfinished", "down",
)  # fmt: skip
STATES = (READY, BUSY, WAITING, UNFINISHED, CONNECTING, DOWN)  # in the order that is shown
LIVE = frozenset({READY, BUSY, WAITING, UNFINISHED})


class Events(Protocol):
    """Who is told what happens. Nothing here may block for long or raise."""

    def output(self, link: Link, data: bytes) -> None:
        """A session printed this: filtered lines, or a piece of a line."""

    def ended(self, run: Run, result: Result) -> None:
        """A run's part on one node has ended; the run as a whole when `run.done`."""

    def changed(self, link: Link) -> None:
        """A session's state changed."""

    def note(self, link: Link, text: str) -> None:
        """Something to know about a session, such as why it is down."""

    def question(self, link: Link, text: str, secret: bool) -> None:
        """ssh asks; `Coordinator.answer` answers."""

    def turned(self) -> None:
        """A turn of the loop is over: time to print."""


@dataclass(eq=False)
class Link:
    """One session. What stands first is for everybody, the rest for the coordinator."""

    node: Node
    state: str = CONNECTING
    reason: str = ""
    directory: bytes = b""
    last_line: bytes = b""
    #: The lines that were sent and have no end yet; the session has `taken` the first of them.
    runs: list[Run] = field(default_factory=list)
    taken: int = 0
    queue: deque[tuple[Run, bytes]] = field(default_factory=deque)
    attached: bool = False
    leaving: bytes = b""  # what the terminal needs first when it comes back from there
    pipe: socket.socket | None = None
    decoder: messages.Decoder = field(default_factory=messages.Decoder)
    out: bytearray = field(default_factory=bytearray)
    tries: int = 0
    until: float = 0.0  # when its login is not tried again (monotonic seconds)
    opened: bool = False
    lost: bool = True  # once it is down: not by a logout, nor because somebody wanted it so
    silent: bool = False
    joins: bool = False  # a connection that the user opened, if it is there
    #: The connection to its jump host, where it goes through one that many share; for such a
    #: connection itself: what it is, and who goes through it.
    host: Link | None = None
    jump: Jump | None = None
    behind: list[Link] = field(default_factory=list)

    @property
    def run(self) -> Run | None:
        """Whose output it is that the session prints, if a run's."""
        return self.runs[self.taken - 1] if self.taken else None

    @property
    def asked(self) -> str:
        """What it asks, where it waits for input."""
        said = strip_colours(self.last_line).decode("utf-8", "replace")
        return said.strip().rpartition("\n")[2]
