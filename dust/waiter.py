"""Waiting while the sessions go on: what ssh asks is asked, Ctrl-C and signals to end are heard."""

from __future__ import annotations

import selectors
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from dust import messages
from dust.approach import Reach
from dust.aside import Aside
from dust.coordinator import Coordinator
from dust.copies import Copied, Copies, how_far
from dust.desk import Desk
from dust.display import Display
from dust.errors import Interrupted
from dust.link import CONNECTING, UNFINISHED, WAITING
from dust.node import Node
from dust.printer import Printer
from dust.run import INTERRUPTED, Run

#: Seconds between two looks at how far a copy is; for a copy that is given up to tidy up.
PACE, PATIENCE = 0.25, 5.0
#: Seconds without output until a script is told for whom it waits, and until it is told again.
SILENCE, AGAIN = 10.0, 60.0

#: States in which it is somebody else's turn: the next line is more of the same.
_OPEN = (WAITING, UNFINISHED)
#: What asks to stop waiting.
_ASKING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})

T = TypeVar("T")


class Waiter:
    """Waits for lines, copies and work aside. `sessions` gives the coordinator."""

    def __init__(
        self,
        sessions: Callable[[], Coordinator],
        display: Display,
        printer: Printer,
        desk: Desk,
        labels: Callable[[Iterable[Node]], str],
    ) -> None:
        self._coordinator = sessions
        self._display = display
        self._printer = printer
        self._desk = desk
        self._labels = labels

    def wait(
        self, done: Callable[[], bool], timeout: float | None = None, run: Run | None = None
    ) -> bool:
        """Wait for `done`, asking what ssh asks. False if the time is up.

        Ctrl-C interrupts what `run` is doing; a second one within a second stops waiting for it
        (Interrupted), and so does one that comes when all is done but its output. A signal to end
        ends dust (Ending).
        """
        self._printer.flush()  # what was said is seen while waiting
        sessions = self._sessions
        self._printer.stop = lambda: not _ASKING.isdisjoint(sessions.caught)
        try:
            return self._wait(done, timeout, run)
        finally:
            self._printer.stop = lambda: False

    def _wait(self, done: Callable[[], bool], timeout: float | None, run: Run | None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        pressed = float("-inf")
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            over = self._sessions.wait(lambda: done() or bool(self._display.questions), left)
            self._sessions.heed_end()
            if signal.SIGINT in self._sessions.caught:
                if run is None or run.done or time.monotonic() - pressed < 1.0:
                    raise Interrupted
                pressed = time.monotonic()
                self.give_up(run)
            elif over:
                if not self._display.questions:
                    return True
                self.put_questions()
            elif deadline is not None and time.monotonic() >= deadline:
                return False

    def wait_for_run(self, run: Run) -> list[Node]:
        """Wait until a run ends or waits everywhere for input or for the rest of its line; returns
        the nodes that wait.

        Where nothing is shown for some time, it is told for whom.
        """

        links = self._sessions.links

        def settled() -> bool:
            return run.done or all(links[n.id].state in _OPEN for n in run.unfinished())

        due = run.begun + SILENCE
        while not self.wait(settled, max(0.0, due - time.monotonic()), run):
            now = time.monotonic()
            due = self._display.shown + SILENCE
            if due <= now:
                seconds = f"{now - run.begun:.0f} s"
                line = " ".join(run.line.split())
                line = line if len(line) <= 60 else f"{line[:56]} ..."
                late = [n for n in run.unfinished() if links[n.id].state not in _OPEN]
                self._printer.tell(f"waiting for {self._labels(late)}, {seconds}: `{line}`")
                due = now + AGAIN
        return run.unfinished()

    def put_questions(self) -> None:
        """Ask the user what ssh asks.

        Ctrl-C gives up all that is still connecting (Interrupted), asked for or not: the next would
        ask the same. No answer (Ctrl-D) gives up those alone that ask.
        """
        try:
            self._desk.put()
        except (Interrupted, KeyboardInterrupt):
            self.interrupt([n.node for n in self._sessions.links.values() if n.state == CONNECTING])
            raise Interrupted from None

    def give_up(self, run: Run) -> None:
        """Ctrl-C to what a run does, and nothing more of it where it has not begun."""
        self._sessions.withdraw(run)
        self.interrupt(run.unfinished())

    def interrupt(self, nodes: Sequence[Node]) -> list[Node]:
        """Ctrl-C to what these nodes run; connections that are still being made are given up."""
        links = self._sessions.links
        coming = [n for n in nodes if n.id in links and links[n.id].state == CONNECTING]
        self._sessions.close(coming, INTERRUPTED)
        busy = [n for n in nodes if n.id in links and links[n.id].state not in ("ready", "down")]
        return coming + self._sessions.keys(busy, b"\x03")

    def aside(self, work: Aside[T], progress: Callable[[], str]) -> T:
        """Wait for work in a thread, and say how far it is.

        Ctrl-C waits no longer (Interrupted): the work then ends by itself, for nobody.
        """
        self._sessions.watch(work.pipe, selectors.EVENT_READ, lambda mask: None)
        try:
            while not self.wait(lambda: work.done, PACE if self._printer.has_progress else None):
                self._printer.progress(progress())
        except KeyboardInterrupt:  # between two waits
            raise Interrupted from None
        finally:
            self._sessions.watch(work.pipe, 0, lambda mask: None)
            work.pipe.close()
            self._printer.progress("")
        return work.result()

    def copy(
        self, nodes: Sequence[Node], order: Callable[[Node, Reach], messages.Copy], fanout: int
    ) -> list[Copied]:
        """Copy what `order` has for each node, by the way to it, and wait for the end of all.

        What ssh asks meanwhile is asked once.
        """
        with self._display.answers_kept():
            reach = self._sessions.reach([node for node in nodes if node.running])
            self.wait(lambda: reach.done)
            copies = Copies(
                self._sessions, nodes, lambda node: order(node, reach), fanout, self._desk
            )
            self._follow(copies)
        return list(copies.results.values())

    def _follow(self, copies: Copies) -> None:
        """Wait for copies to end. What is not done is told where they are given up."""
        try:
            while not self.wait(lambda: copies.done, PACE if self._printer.has_progress else None):
                self._printer.progress(how_far(copies))
        except (Interrupted, KeyboardInterrupt, SystemExit):
            late = copies.unfinished()
            copies.cancel()
            self._sessions.wait(lambda: copies.done, PATIENCE)
            copies.abandon()
            self._printer.progress("")
            if late:
                self._printer.tell(f"not done: {self._labels(late)}")
            raise
        self._printer.progress("")

    @property
    def _sessions(self) -> Coordinator:
        return self._coordinator()
