"""Files copied to or from a set of nodes: the coordinator's side, a worker a node."""

from __future__ import annotations

import json
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from dust import messages
from dust.coordinator import Coordinator
from dust.errors import SessionError
from dust.node import Node
from dust.nodeset import grouped
from dust.questions import Waiting
from dust.run import FAILED, OK, RUNNING, UNREACHABLE

#: Most bytes taken from one worker at once.
_TURN = 1 << 16
#: The kinds of an end after which a node counts as not reached, unless it had begun.
_REACHED = ("", "ended", "dropped")
INTERRUPTED = "interrupted"


@dataclass(eq=False)
class Copied:
    """What became of a copy on one node.

    `files` and `size` (bytes) were copied, in `seconds`. `error` says why not everything was tried,
    "" if it was; `failures` and `skipped` have a reason, for how many files, the first one's name.
    `note` is what else there is to know.
    """

    node: Node
    state: str = RUNNING
    error: str = ""
    files: int = 0
    size: int = 0
    seconds: float = 0.0
    failures: list[tuple[str, int, str]] = field(default_factory=list)
    skipped: list[tuple[str, int, str]] = field(default_factory=list)
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether all was copied but what is always left out, such as symbolic links."""
        return self.state == OK

    @property
    def why(self) -> str:
        """Why not all was copied, in one line; "" if it was."""
        failed = [_which(count, name) + reason for reason, count, name in self.failures]
        return "; ".join([*failed, self.error] if self.error else failed)


def _which(count: int, first: str) -> str:
    return f"{first}: " if count == 1 else f"{count:,} files ({first} first): " if count else ""


class Desk(Protocol):
    """Who answers for the user."""

    def ask(self, waiting: Waiting, text: str, secret: bool) -> bool:
        """Have a question answered, later; False where there is nobody to be asked."""

    def notice(self, text: str) -> None:
        """Say what ssh wants to be known."""


@dataclass(eq=False)
class _Lane:
    """One node's copy while it lasts."""

    result: Copied
    pipe: socket.socket
    out: bytearray
    begun: float
    decoder: messages.Decoder = field(default_factory=messages.Decoder)
    moved: messages.Moved = messages.Moved(0, 0, 0, 0)
    unasked: str = ""  # a question for which there was nobody


class Copies:
    """Copies that begin at once: of at most `fanout` nodes at the same time.

    `order` makes what a node's worker is told; it may raise `SessionError`. What ssh asks is put
    to the `desk`.
    """

    def __init__(
        self,
        sessions: Coordinator,
        nodes: Sequence[Node],
        order: Callable[[Node], messages.Copy],
        fanout: int,
        desk: Desk,
    ) -> None:
        self.results = {node.id: Copied(node) for node in nodes}
        self.begun = time.monotonic()
        self._sessions = sessions
        self._order = order
        self._fanout = fanout
        self._desk = desk
        self._waiting: deque[Copied] = deque()
        for result in self.results.values():
            if result.node.running:
                self._waiting.append(result)
            else:
                result.state, result.error = UNREACHABLE, result.node.absence
        self._lanes: list[_Lane] = []
        self._finished = messages.Moved(0, 0, 0, 0)
        self._launch()

    @property
    def begun_on(self) -> int:
        """On how many nodes it has begun, or is over."""
        return len(self.results) - len(self._waiting)

    @property
    def done(self) -> bool:
        """Whether it is over on every node."""
        return not self._lanes and not self._waiting

    def unfinished(self) -> list[Node]:
        """The nodes where it is not over."""
        return [result.node for result in self.results.values() if result.state == RUNNING]

    def cancel(self) -> None:
        """Stop everywhere; workers first remove what is not whole."""
        for result in self._waiting:
            result.state, result.error = FAILED, INTERRUPTED
        self._waiting.clear()
        for lane in self._lanes:
            self._send(lane, messages.encode(messages.Close()))

    def abandon(self) -> None:
        """Wait no longer; workers do what they can by themselves."""
        for lane in list(self._lanes):
            self._end(lane, FAILED, INTERRUPTED)

    def progress(self) -> tuple[messages.Moved, int]:
        """What all nodes have copied so far, and how many of them are done."""
        moved = [self._finished, *(lane.moved for lane in self._lanes)]
        total = messages.Moved(*(sum(column) for column in zip(*moved, strict=True)))
        return total, len(self.results) - len(self._lanes) - len(self._waiting)

    # --- the lanes

    def _launch(self) -> None:
        theirs: list[socket.socket] = []
        began: list[_Lane] = []
        while self._waiting and len(self._lanes) < self._fanout:
            result = self._waiting.popleft()
            try:
                order = messages.encode(self._order(result.node))
                if len(order) > messages.LONGEST:
                    raise SessionError("", "too many names at once: name their directory")
                ours, other = socket.socketpair()
            except (SessionError, OSError) as error:
                # The node is told anyway.
                text = error.message if isinstance(error, SessionError) else str(error)
                result.state, result.error = FAILED, text
                continue
            ours.setblocking(False)
            lane = _Lane(result, ours, bytearray(), time.monotonic())
            self._lanes.append(lane)
            theirs.append(other)
            began.append(lane)
            self._send(lane, order)
        try:
            if theirs:
                self._sessions.hire(theirs)
        except OSError as error:
            for lane in began:
                self._end(lane, FAILED, f"no worker could be started: {error}")

    def _send(self, lane: _Lane, frame: bytes) -> None:
        lane.out += frame
        self._ready(lane, selectors.EVENT_WRITE)

    def _ready(self, lane: _Lane, mask: int) -> None:
        if mask & selectors.EVENT_WRITE and lane.out:
            try:
                del lane.out[: lane.pipe.send(lane.out)]
            except BlockingIOError:
                pass  # later
            except OSError:
                lane.out.clear()  # reading says that it is gone
        if mask & selectors.EVENT_READ and not self._receive(lane):
            self._launch()
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if lane.out else 0)
        self._sessions.watch(lane.pipe, events, lambda mask: self._ready(lane, mask))

    def _receive(self, lane: _Lane) -> bool:
        """Take in what a worker says; False when that was its last."""
        try:
            data = lane.pipe.recv(_TURN)
            received = lane.decoder.feed(data)
        except BlockingIOError:
            return True
        except (OSError, ValueError, json.JSONDecodeError):
            data, received = b"", []
        for message in received:
            if isinstance(message, messages.Moved):
                lane.moved = message
            elif isinstance(message, messages.Note):
                lane.result.note = message.text
            elif isinstance(message, messages.Question):
                self._asked(lane, message)
                if lane not in self._lanes:
                    return False
            elif isinstance(message, messages.Notice):
                self._desk.notice(f"{lane.result.node.name}: {message.text}")
            elif isinstance(message, messages.CopyEnded):
                self._ended(lane, message)
                return False
        if not data:
            self._end(lane, FAILED, "its worker ended")
        return bool(data)

    def _asked(self, lane: _Lane, question: messages.Question) -> None:
        waiting = Waiting(
            (lane, question.asker),
            lane.result.node.name,
            partial(self._answer, lane),
            lambda: lane in self._lanes,
        )
        if not self._desk.ask(waiting, question.text, question.secret):
            lane.unasked = question.text
            self._send(lane, messages.encode(messages.Unanswered()))

    def _answer(self, lane: _Lane, text: str | None) -> None:
        """Pass on an answer; None gives up that node."""
        if text is None:
            self._end(lane, UNREACHABLE, "authentication: not answered")
            self._launch()
        else:
            self._send(lane, messages.encode(messages.Answer(os.fsencode(text))))

    def _ended(self, lane: _Lane, end: messages.CopyEnded) -> None:
        result = lane.result
        result.files, result.size = end.files, end.size
        result.failures = [(reason, count, name) for reason, count, name in end.failures]
        result.skipped = [(kind, count, name) for kind, count, name in end.skipped]
        reached = end.kind in _REACHED or end.files
        error = end.error if end.kind in ("", "ended") else f"{end.kind}: {end.error}"
        if error and not reached and lane.unasked:
            error += f" (there is no terminal to ask on: {lane.unasked.strip()})"
        failed = FAILED if reached else UNREACHABLE
        self._end(lane, failed if error or end.failures else OK, error)

    def _end(self, lane: _Lane, state: str, error: str) -> None:
        lane.result.state, lane.result.error = state, error
        lane.result.seconds = time.monotonic() - lane.begun
        files, size = lane.result.files, lane.result.size
        done = messages.Moved(files, size, files, size)
        self._finished = messages.Moved(*(map(sum, zip(self._finished, done, strict=True))))
        self._lanes.remove(lane)
        self._sessions.watch(lane.pipe, 0, lambda mask: None)
        lane.pipe.close()


def problems(results: Iterable[Copied], label: Callable[[Node], str]) -> list[str]:
    """What failed, a line for each reason, with the nodes of which it is true."""
    rows = [(result, *failure) for result in results for failure in result.failures]
    rows += [(result, result.error, 0, "") for result in results if result.error]
    return _lines(rows, label)


def remarks(results: Iterable[Copied], label: Callable[[Node], str]) -> list[str]:
    """What was skipped and what else is to know, in the same form."""
    results = list(results)
    rows = [(result, result.note, 0, "") for result in results if result.note]
    for result in results:
        rows += [(result, f"skipped: {kind}", count, name) for kind, count, name in result.skipped]
    return _lines(rows, label)


def _lines(rows: Iterable[tuple[Copied, str, int, str]], label: Callable[[Node], str]) -> list[str]:
    said: list[tuple[str, str]] = []
    for result, reason, count, name in rows:
        said.append((label(result.node), _which(count, name) + reason))
    return grouped(said)


def amount(size: float) -> str:
    """Bytes for people: `512 bytes`, `3.1 MB`."""
    if size < 1000:
        return f"{size:.0f} bytes"
    power = 3 if size >= 999.5e6 else 2 if size >= 999.5e3 else 1
    size /= 1000**power
    return f"{size:.{0 if size >= 100 else 1}f} {('kB', 'MB', 'GB')[power - 1]}"


def how_far(copies: Copies) -> str:
    """One line for a copy that lasts: nodes done, how much of how much, rate, time left."""
    moved, done = copies.progress()
    seconds = max(time.monotonic() - copies.begun, 0.001)
    rate = moved.size / seconds
    parts = [f"{done} of {len(copies.results)} nodes"]
    if moved.size_known:
        known = moved.size_known * len(copies.results) / max(1, copies.begun_on)
        parts.append(f"{amount(moved.size)} of {amount(known)}")
        parts.append(f"{amount(rate)}/s")
        if moved.size and known > moved.size:
            parts.append(f"{_time((known - moved.size) / rate)} left")
    return ", ".join(parts)


def _time(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds + 1), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
