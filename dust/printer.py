"""The only place that writes to the terminal: labels, blocks, tables, messages."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from dust.node import Node
from dust.nodeset import fold
from dust.plain import legible, printable, strip_colours
from dust.run import Result, Run

#: Colours of labels, as SGR parameters: readable on dark and light.
_COLOURS = ("36", "32", "33", "35", "34", "96", "92", "93", "95", "94")

#: The line that shows how far something is, emptied.
_CLEAR = b"\r\x1b[K"
#: Most bytes written at once: between two of them `Printer.stop` is asked.
_PIECE = 1 << 16
#: Milliseconds after which a write that waits for its reader looks up.
_PATIENCE = 200


class OutputClosed(Exception):
    """Nobody reads our output any more, as after `| head`."""


class Labels:
    """The label of each node, made once: `[worker1] `, in a colour of its own if there are any."""

    def __init__(self, name: Callable[[Node], str], *, colour: bool) -> None:
        self.colour = colour
        self._name = name
        self._made: dict[str, bytes] = {}

    def __call__(self, node: Node) -> bytes:
        """What stands before each line of this node."""
        label = self._made.get(node.id)
        if label is None:
            text = f"[{printable(self._name(node))}]"
            if self.colour:
                text = f"\x1b[{_COLOURS[len(self._made) % len(_COLOURS)]}m{text}\x1b[0m"
            label = self._made[node.id] = f"{text} ".encode()
        return label


class Printer:
    """Labels and writes. Output is gathered and written once a turn, by `flush`.

    `above`, where set, is where whole batches go instead of the descriptor: above the prompt.
    """

    def __init__(
        self,
        *,
        colour: bool,
        label: Callable[[Node], str] = lambda node: node.name,
        program: str = "dust",
    ) -> None:
        self.colour = colour
        self.label = label
        self.program = program
        self.above: Callable[[bytes], None] | None = None
        #: Whether `flush` is to leave the rest for later, as somebody pressed Ctrl-C meanwhile.
        self.stop: Callable[[], bool] = lambda: False
        self._labels = Labels(label, colour=colour)
        self._batch: list[bytes] = []
        self._progress = b""  # what stands on the terminal until the next output
        self._open = ""  # id of the node whose unfinished line is the last thing written
        self._cut = False  # writing has begun, and perhaps not come to its end

    # --- what nodes print

    def output(self, node: Node, data: bytes) -> None:
        """Lines of a node's, each labelled; or a piece of a line, which the next may continue."""
        if not self.colour and b"\x1b" in data:
            data = strip_colours(data)
        self._labels.colour = self.colour
        label = self._labels(node)
        if self._open == node.id and self.above is None:
            head = b""
        else:
            head = self._close_line() + label
        whole = data.endswith(b"\n")
        body = (data[:-1] if whole else data).replace(b"\n", b"\n" + label)
        self._batch.append(head + body + (b"\n" if whole or self.above else b""))
        self._open = "" if whole or self.above else node.id

    def finish(self, node: Node) -> None:
        """A node's command has ended: so does its line."""
        if self._open == node.id:
            self._batch.append(self._close_line())

    def show(self, run: Run, nodes: Iterable[Node], form: str) -> None:
        """A run's output again: `stream` or `block` (a node after the other), or `fold`."""
        wanted = {node.id for node in nodes}
        results = [r for r in run.results.values() if r.node.id in wanted]
        if form == "fold":
            for group, data in run.folded():
                if chosen := [node for node in group if node.id in wanted]:
                    self._group(chosen, data)
        else:
            for result in results:
                self.block(result)

    def block(self, result: Result) -> None:
        """All that one node printed."""
        if result.transcript.dropped:
            self.tell(f"{result.node.name}: its first {result.transcript.dropped:,} bytes are gone")
        if data := result.transcript.data():
            self.output(result.node, data)
            self.finish(result.node)

    def _group(self, nodes: list[Node], data: bytes) -> None:
        header = f"{fold(self.label(node) for node in nodes)} ({len(nodes)})"
        self.say(f"\x1b[1m{header}\x1b[0m" if self.colour else header)
        if not self.colour:
            data = strip_colours(data)
        if data:
            self._batch.append(data if data.endswith(b"\n") else data + b"\n")

    def _close_line(self) -> bytes:
        opened, self._open = self._open, ""
        return b"\n" if opened else b""

    # --- what dust says

    def say(self, text: str = "") -> None:
        """A line of a command's output."""
        shown = legible(text, colours=True)
        self._batch.append(self._close_line() + shown.encode("utf-8", "replace") + b"\n")

    def table(self, rows: Sequence[Sequence[object]], headers: Sequence[str] = ()) -> None:
        """Aligned columns."""
        from tabulate import tabulate  # not needed for lines on nodes

        cells = [[printable(str(cell)) for cell in row] for row in rows]
        self.say(tabulate(cells, headers=headers, tablefmt="plain", disable_numparse=True))

    def tell(self, text: str) -> None:
        """A message about what happened, beside the output: on standard error."""
        self._tell(legible(text))

    def _tell(self, text: str) -> None:
        if self.above is not None:
            self.say(text)
            return
        self._batch.append(self._close_line() if os.isatty(1) else b"")
        self.flush()
        self.progress("")
        write(2, (text + "\n").encode("utf-8", "replace"))

    def error(self, text: str) -> None:
        """A message about what went wrong."""
        lead = f"{self.program}:"
        if self.colour and os.isatty(2):
            lead = f"\x1b[31m{lead}\x1b[0m"
        self._tell(f"{lead} {legible(text)}")

    @property
    def has_progress(self) -> bool:
        """Whether there is a terminal to show on how far something is."""
        return self.above is None and os.isatty(2) and not is_dumb()

    def progress(self, text: str) -> None:
        """Show one line until the next output, or take it away again."""
        if not self.has_progress:
            return
        self.flush()
        width = os.get_terminal_size(2).columns
        shown = text[: max(1, width - 1)].encode("utf-8", "replace")
        if shown != self._progress:
            self._progress = shown
            write(2, _CLEAR + shown)

    def pass_on(self, data: bytes) -> None:
        """Write what was once labelled and kept elsewhere."""
        self._batch.append(data)
        self.flush()

    def flush(self) -> None:
        """Write what was gathered. Raises OutputClosed if nobody reads it."""
        if not self._batch:
            return
        data = b"".join(self._batch)
        self._batch.clear()
        if not data:
            return
        if self._progress:
            self._progress = b""
            write(2, _CLEAR)
        if self.above is not None:
            self.above(data)
        else:
            self._cut = True  # unless all goes out, whatever it is that interrupts it
            if left := write_until(1, data, self.stop, _PIECE):
                self._batch.append(left)
            self._cut = bool(left)

    def drop(self) -> bool:
        """Forget what is not written yet, if it takes long; returns whether that is so."""
        if not self._cut and sum(map(len, self._batch)) <= _PIECE:
            return False
        if self._cut and os.isatty(1):
            write(1, b"\x1b[0m\n" if self.colour else b"\n")
        self._batch.clear()
        self._cut, self._open = False, ""
        return True


def is_dumb() -> bool:
    """Whether the terminal is one that can only print."""
    return os.environ.get("TERM", "") in ("", "dumb", "unknown")


def in_colour(setting: str, fd: int) -> bool:
    """Whether the setting `colour` means colours on this descriptor."""
    plain = is_dumb() or "NO_COLOR" in os.environ
    return setting == "always" or (setting == "auto" and os.isatty(fd) and not plain)


def write(fd: int, data: bytes) -> None:
    """Write everything, also where somebody made the descriptor non-blocking.

    Raises OutputClosed if nobody reads it.
    """
    write_until(fd, data, lambda: False, len(data))


def write_until(
    fd: int, data: bytes, stop: Callable[[], bool], piece: int = select.PIPE_BUF
) -> bytes:
    """Write until `stop`, and return what is left then. Raises OutputClosed if nobody reads it.

    A `piece` of at most PIPE_BUF bytes never blocks a pipe that is ready, so that `stop` is asked
    often, whoever reads.
    """
    view = memoryview(data)
    ready = select.poll()
    ready.register(fd, select.POLLOUT)
    try:
        while view and not stop():
            if ready.poll(_PATIENCE):
                with suppress(BlockingIOError):
                    view = view[os.write(fd, view[:piece]) :]
    except BrokenPipeError as error:
        raise OutputClosed from error
    except OSError as error:
        if fd == 2:
            return b""  # nowhere to say so
        raise OutputClosed(f"cannot write the output: {error.strerror}") from error
    return bytes(view)
