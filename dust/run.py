"""A line on a set of nodes, and what became of it on each."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import IO

from dust.node import Node
from dust.nodeset import fold, grouped
from dust.plain import strip_colours

RUNNING, OK, FAILED, TIMEOUT, UNREACHABLE = "running", "ok", "failed", "timeout", "unreachable"
#: What becomes of a command that Dust was told to end, or not even to begin.
INTERRUPTED, NOT_BEGUN = "interrupted", "not begun"

#: The exit status of a command whose time was up, as of timeout(1).
TIMED_OUT = 124
#: The exit status of a command that Ctrl-C ended, or kept from beginning, as in any shell.
BY_CTRL_C = 130

#: How the error of a line begins that was not sent.
NOT_SENT = "not sent: "
#: How much of its output a run keeps in memory, in bytes: of all nodes, and of one at least.
KEPT, KEPT_EACH = 64 << 20, 64 << 10


class Transcript:
    """Output of one node: all of it, in a file once it is large, or its bounded end."""

    def __init__(self, limit: int, whole: bool) -> None:
        self.dropped = 0
        self._limit = limit
        self._size = 0
        self._chunks: deque[bytes] = deque()
        self._whole = whole
        self._file: IO[bytes] | None = None

    def append(self, data: bytes) -> None:
        """Add output."""
        if self._whole:
            self._file = self._file or _spool(self._limit)
            self._file.write(data)
            return
        self._chunks.append(data)
        self._size += len(data)
        while self._size > self._limit and len(self._chunks) > 1:
            gone = len(self._chunks.popleft())
            self._size -= gone
            self.dropped += gone

    def move(self, to: Transcript) -> None:
        """Give all of it to another one."""
        to.append(self.data())
        to.dropped += self.dropped
        self.dropped = self._size = 0
        self._chunks.clear()
        self._file = None

    def data(self) -> bytes:
        """What was kept."""
        if self._file is None:
            return b"".join(self._chunks)
        self._file.seek(0)
        data = self._file.read()
        self._file.seek(0, 2)
        return data


def _spool(limit: int) -> IO[bytes]:
    from tempfile import SpooledTemporaryFile  # large, and most runs need none

    return SpooledTemporaryFile(max_size=limit)


class Result:
    """What became of a run on one node.

    `status` is the exit status, None while it runs or where it cannot be told; `error` says why
    there is none; `seconds` is the time that the line took there.
    """

    def __init__(self, node: Node, transcript: Transcript) -> None:
        self.node = node
        self.transcript = transcript
        self.state = RUNNING
        self.status: int | None = None
        self.seconds: float | None = None
        self.error = ""

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        return self.state == OK

    @property
    def word(self) -> str:
        """How it stands, in few words; why a session was lost is told when it is."""
        if self.state == RUNNING:
            return "still running"
        if self.state not in (OK, FAILED):
            return self.state
        if self.status is not None:
            return f"exit {self.status}"
        return self.error if self.error.startswith(NOT_SENT) else "lost" if self.error else "done"

    @property
    def output(self) -> str:
        """What the node printed."""
        return self.transcript.data().decode("utf-8", "replace")

    @property
    def lines(self) -> list[str]:
        """The lines that the node printed."""
        return self.output.splitlines()

    def end(self, status: int | None, seconds: float | None) -> None:
        """The line ended there."""
        self.status = status
        self.seconds = seconds
        self.state = FAILED if status else OK

    def fail(self, state: str, error: str, status: int | None = None) -> None:
        """There will be no end; `status` is what then counts as the exit status."""
        self.state = state
        self.error = error
        self.status = status


class Run:
    """One line sent to a set of nodes. `results` is by node id, in the order of the nodes.

    A `quiet` run is a command's own: its output is for the command, not for the screen.
    """

    def __init__(self, line: str, results: Iterable[Result], *, quiet: bool = False) -> None:
        self.line = line
        self.quiet = quiet
        self.results = {result.node.id: result for result in results}
        self.pending = sum(result.state == RUNNING for result in self.results.values())
        self.begun = time.monotonic()
        self.seconds: float | None = None

    @classmethod
    def on(
        cls, nodes: Iterable[Node], line: str, *, whole: bool = False, quiet: bool = False
    ) -> Run:
        """A run that is about to begin; `whole`: keep all output, however much.

        It has failed already on a node that does not run.
        """
        nodes = list(nodes)
        limit = max(KEPT_EACH, KEPT // max(1, len(nodes)))
        results = [Result(node, Transcript(limit, whole)) for node in nodes]
        for result in results:
            if absence := result.node.absence:
                result.fail(UNREACHABLE, absence)
        return cls(line, results, quiet=quiet)

    @property
    def done(self) -> bool:
        """Whether every node's part has ended."""
        return not self.pending

    @property
    def status(self) -> int:
        """The worst: 255 where a node could not be reached, else the highest exit status."""
        worst = 0
        for result in self.results.values():
            if result.state in (UNREACHABLE, TIMEOUT) and result.status is None:
                return 255
            worst = max(worst, result.status or (0 if result.state in (OK, RUNNING) else 1))
        return worst

    def ended(self, result: Result) -> None:
        """Count one node's end."""
        self.pending -= 1
        if not self.pending:
            self.seconds = time.monotonic() - self.begun

    def unfinished(self) -> list[Node]:
        """The nodes where it still runs."""
        return [r.node for r in self.results.values() if r.state == RUNNING]

    def progress(self, name: Callable[[Node], str]) -> str:
        """`13/15 done, 42 s, waiting for worker[4-5]`."""
        total = len(self.results)
        late = fold(name(node) for node in self.unfinished())
        seconds = time.monotonic() - self.begun
        return f"{total - self.pending}/{total} done, {seconds:.0f} s, waiting for {late}"

    def summary(self, nodes: Iterable[Node] | None = None) -> str:
        """`worker[4-5]: exit 1 · master: exit 127 · 13 ok, 2.1 s`, of these nodes or of all."""
        wanted = self.results if nodes is None else [node.id for node in nodes]
        results = [self.results[id] for id in wanted]
        parts = grouped((each.node.name, each.word) for each in results if each.state != OK)
        if fine := sum(each.state == OK for each in results):
            parts.append(f"{fine} ok")
        seconds = self.seconds if self.seconds is not None else time.monotonic() - self.begun
        return " · ".join(parts) + f", {seconds:.1f} s"

    def folded(self) -> list[tuple[list[Node], bytes]]:
        """The nodes by equal output, whatever its colours, largest group first.

        Nodes that printed nothing because they failed are not among them.
        """
        groups: dict[bytes, tuple[list[Node], bytes]] = {}
        for result in self.results.values():
            data = result.transcript.data()
            if not data and result.error:
                continue
            groups.setdefault(strip_colours(data), ([], data))[0].append(result.node)
        return sorted(groups.values(), key=lambda group: -len(group[0]))
