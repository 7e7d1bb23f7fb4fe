"""What dust-at shows of a run: its output, how far it is, and what went wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from dust.node import Node
from dust.nodeset import grouped
from dust.plain import printable
from dust.printer import Labels, Printer, write, write_until
from dust.run import Result, Run

if TYPE_CHECKING:
    from dust.screen import Screen

#: Of a longer line a piece is shown before its end, in bytes.
PIECE = 1 << 20
#: Seconds until a run is worth a line that says how far it is, and between two of them.
SOON, EVERY = 0.5, 1.0


class Stream(Protocol):
    """Where one of the two outputs of all nodes goes."""

    def write(self, result: Result, data: bytes) -> None:
        """A node printed this."""

    def ended(self, result: Result) -> None:
        """A node will print no more."""

    @property
    def gathered(self) -> bool:
        """Whether there is something for `flush`."""

    @property
    def inside_line(self) -> bool:
        """Whether what was written last has not ended its line, on a terminal."""

    def flush(self, stop: Callable[[], bool]) -> None:
        """Write what was gathered, or some until `stop`. Raises OutputClosed if nobody reads it."""


class Silent:
    """What writes nothing to a terminal before the end."""

    gathered = inside_line = False

    def ended(self, result: Result) -> None:
        """A node will print no more."""

    def flush(self, stop: Callable[[], bool]) -> None:
        """There is nothing to write."""


class Bytes:
    """The bytes as they come, to a descriptor; to a terminal only what it can be given."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._batch: list[bytes] = []
        self._screens: dict[str, Screen] | None = {} if os.isatty(fd) else None
        self.inside_line = False

    @property
    def gathered(self) -> bool:
        """Whether there is something for `flush`."""
        return bool(self._batch)

    def write(self, result: Result, data: bytes) -> None:
        """Gather it, filtered for a terminal."""
        if self._screens is not None:
            from dust.screen import Screen  # a file or a pipe is given all there is

            data = self._screens.setdefault(result.node.id, Screen()).feed(data)
        if data:
            self.add(result.node, data)

    def ended(self, result: Result) -> None:
        """Gather what was held back of the last line."""
        if self._screens and (screen := self._screens.pop(result.node.id, None)):
            if data := screen.flush():
                self.add(result.node, data)

    def add(self, _node: Node, data: bytes) -> None:
        """Gather what can be shown."""
        self._batch.append(data)

    def flush(self, stop: Callable[[], bool]) -> None:
        """Write what was gathered; what remains at `stop` stays for later."""
        if self._batch:
            data = b"".join(self._batch)
            self.inside_line = self._screens is not None and not data.endswith(b"\n")
            self._batch = [rest] if (rest := write_until(self._fd, data, stop)) else []


class Lines(Bytes):
    """Whole lines, each behind the label of its node."""

    def __init__(self, fd: int, labels: Labels) -> None:
        super().__init__(fd)
        self._labels = labels
        self._held: dict[str, list[bytes]] = {}
        self._sizes: dict[str, int] = {}
        self._open = ""  # id of the node whose unfinished line is the last thing written

    def add(self, node: Node, data: bytes) -> None:
        """Gather whole lines, and hold what follows them."""
        held = self._held.setdefault(node.id, [])
        end = data.rfind(b"\n") + 1
        if end:
            self._show(node, b"".join([*held, data[:end]]))
            held.clear()
            self._sizes[node.id] = 0
        if end < len(data):
            held.append(data[end:])
            size = self._sizes[node.id] = self._sizes.get(node.id, 0) + len(data) - end
            if size > PIECE:
                self._show(node, b"".join(held))
                held.clear()
                self._sizes[node.id] = 0

    def ended(self, result: Result) -> None:
        """A last line without an end gets one."""
        super().ended(result)
        node = result.node
        if held := self._held.pop(node.id, None):
            self._show(node, b"".join(held) + b"\n")
        elif self._open == node.id:
            self._batch.append(b"\n")
            self._open = ""

    def _show(self, node: Node, data: bytes) -> None:
        label = self._labels(node)
        head = b"" if self._open == node.id else b"\n" + label if self._open else label
        whole = data.endswith(b"\n")
        body = (data[:-1] if whole else data).replace(b"\n", b"\n" + label)
        self._batch += (head, body, b"\n" if whole else b"")
        self._open = "" if whole else node.id


class Kept(Silent):
    """Kept with the result, to be shown when it has ended."""

    def write(self, result: Result, data: bytes) -> None:
        """Keep it."""
        result.transcript.append(data)


class Progress:
    """How far a run is, as the last line of a terminal on standard error."""

    def __init__(self, run: Run, name: Callable[[Node], str]) -> None:
        self._run = run
        self._name = name
        self._due = time.monotonic() + SOON
        self._shown = False

    def erase(self) -> None:
        """Make room for other text."""
        if self._shown:
            write(2, b"\r\x1b[K")
            self._shown = False
            self._due = 0.0

    def draw(self) -> float:
        """Show how far it is, if that is due; returns in how many seconds it next is."""
        now = time.monotonic()
        if now >= self._due:
            from shutil import get_terminal_size  # most runs end before

            width = get_terminal_size().columns - 1
            text = printable(self._run.progress(self._name))[:width]
            write(2, f"\r{text}\x1b[K".encode())
            self._shown = True
            self._due = now + EVERY
        return self._due - now


class Report:
    """The outlet of a run: where its two outputs go, and how far it is.

    What was kept of one that is `folded` is shown at the end.
    """

    def __init__(
        self,
        run: Run,
        out: Stream,
        errors: Stream,
        progress: Progress | None,
        printer: Printer,
        *,
        folded: bool,
        quiet: bool,
    ) -> None:
        self._run = run
        self._streams = (out, errors)
        self._progress = progress
        self._printer = printer
        self._folded = folded
        self._quiet = quiet

    def output(self, result: Result, data: bytes, error: bool) -> None:
        """A node printed this, on its standard error if `error`."""
        self._streams[error].write(result, data)

    def ended(self, result: Result) -> None:
        """A node's part is over."""
        for stream in self._streams:
            stream.ended(result)

    def flush(self, stop: Callable[[], bool]) -> float | None:
        """Write what was gathered, or some until `stop`; returns in how many seconds to go on."""
        if any(stream.gathered for stream in self._streams):
            self.erase()
            for stream in self._streams:
                stream.flush(stop)
        if self._progress is None:
            return None
        return EVERY if any(s.inside_line for s in self._streams) else self._progress.draw()

    def close(self, *, failed: bool) -> None:
        """The run is over: unless Dust failed, show what is left and why nodes failed."""
        if not failed:
            self.flush(lambda: False)
        self.erase()
        if failed:
            return
        results = self._run.results.values()
        if self._folded:
            self._printer.show(self._run, [result.node for result in results], "fold")
            self._printer.flush()
        lost = [result for result in results if result.error and result.error != result.word]
        for why in grouped((self._printer.label(r.node), printable(r.error)) for r in lost):
            self._printer.error(why)
        if self._run.status and not self._quiet:
            self._printer.tell(self._run.summary())

    def erase(self) -> None:
        """Leave nothing of the progress on the terminal."""
        if self._progress is not None:
            self._progress.erase()
