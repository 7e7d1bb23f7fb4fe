"""What the coordinator reports, to the screen: the listener between the two."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from dust.coordinator import Coordinator
from dust.link import CONNECTING, WAITING, Link
from dust.nodeset import grouped
from dust.printer import Printer
from dust.questions import Questions, Waiting
from dust.run import Result, Run
from dust.sessionlog import SessionLog

#: Most output that is kept while the terminal is lent to something else, in bytes.
KEPT = 8 << 20


class Display:
    """Shows output as it comes (`stream`), as each node ends (`block`) or at the end (`fold`)."""

    def __init__(self, printer: Printer, form: str) -> None:
        self.form = form
        self.questions = Questions()
        self._keeping = False  # answers to what ssh asked
        self.sessions: Coordinator | None = None
        #: Called when a state or a question changed, for the prompt.
        self.stirred: Callable[[], None] = lambda: None
        #: When the last output was shown (monotonic seconds).
        self.shown = 0.0
        #: Where everything is written down too.
        self.log: SessionLog | None = None
        self._printer = printer
        self._kept: list[bytes] = []
        self._kept_size = 0
        self._notes: list[tuple[str, str]] = []  # of whom, and what

    def output(self, link: Link, data: bytes) -> None:
        """Show what a session printed, unless its run is shown later."""
        if self.log:
            self.log.output(link.node, data)
        if link.run and (link.run.quiet or self.form != "stream"):
            return
        self.shown = time.monotonic()
        self._printer.output(link.node, data)

    def ended(self, run: Run, result: Result) -> None:
        """One node is done with a run, and perhaps the run with it."""
        if run.quiet:
            return
        self._printer.finish(result.node)
        if self.form == "block":
            self._printer.block(result)
        if run.done:
            if self.form == "fold":
                self._printer.show(run, [r.node for r in run.results.values()], "fold")
            if run.status:
                self._tell_notes()
                self._printer.tell(run.summary())

    def _tell_notes(self) -> None:
        notes, self._notes = self._notes, []
        for text in grouped(notes):
            self._printer.tell(text)

    def changed(self, link: Link) -> None:
        """A session's state changed."""
        if link.state == WAITING and b"assword" in link.last_line:
            self.note(link, "asks for a password; `secret` answers it unseen")
        elif link.state == WAITING and self.form != "stream" and link.run and not link.run.quiet:
            self.note(link, f"waits for input: {link.asked}")
        if link.state != CONNECTING:
            self._forget_answers()
        self.stirred()

    @contextmanager
    def answers_kept(self) -> Iterator[None]:
        """What ssh asks meanwhile, for copies and the way to them, is answered once."""
        self._keeping = True
        try:
            yield
        finally:
            self._keeping = False
            self._forget_answers()

    def _forget_answers(self) -> None:
        """Keep no answer to what ssh asked, unless there are more that may ask."""
        if self.questions.answered and self.sessions and not self._keeping:
            if not self.sessions.counts().get(CONNECTING):
                self.questions.forget()

    def note(self, link: Link, text: str) -> None:
        """Say something about a session: once a turn for all of which it is true."""
        self._notes.append((self._printer.label(link.node), text))

    def question(self, link: Link, text: str, secret: bool) -> None:
        """Take up what ssh asks."""
        assert self.sessions is not None
        answer = partial(self.sessions.answer, link)
        waiting = Waiting(link, link.node.name, answer, lambda: link.state == CONNECTING)
        self.questions.add(waiting, text, secret)
        self.stirred()

    def turned(self) -> None:
        """A turn of the loop is over: write what it brought."""
        self._tell_notes()
        self._printer.flush()
        if self.log:
            self.log.flush()

    def keep(self, keep: bool) -> None:
        """Keep all output while something else has the terminal; then show it.

        Beyond a bound the nodes have to wait, so that nothing is lost and memory stays small.
        """
        self._printer.flush()
        if keep:
            self._printer.above = self._keep
            return
        self._printer.above = None
        kept, self._kept, self._kept_size = self._kept, [], 0
        if self.sessions:
            self.sessions.hold(False)
        self._printer.pass_on(b"".join(kept))

    def _keep(self, data: bytes) -> None:
        self._kept.append(data)
        self._kept_size += len(data)
        if self._kept_size > KEPT and self.sessions:
            self.sessions.hold(True)
