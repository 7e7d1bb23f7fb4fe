"""One command on many nodes, each by an ssh of its own without a terminal.

Where there is no terminal there is nothing for pexpect to drive, so no worker stands between: the
pipes of each ssh come straight to this loop. All are in one process group, which has a guard.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

from dust.asker import Asker
from dust.errors import DustError
from dust.feed import Feed
from dust.flow import Flow
from dust.gates import Gates
from dust.guard import Guard
from dust.jumps import Jump
from dust.limits import raise_open_files
from dust.node import Node
from dust.run import INTERRUPTED, NOT_BEGUN, RUNNING, TIMED_OUT, TIMEOUT, UNREACHABLE, Result, Run
from dust.shot import Shot
from dust.signals import ENDING, Signalled, Signals
from dust.verdicts import Verdicts

if TYPE_CHECKING:
    from dust.inquiries import Inquiries
    from dust.questions import Question


class Outlet(Protocol):
    """Where the output goes, and who is told of the ends."""

    def output(self, result: Result, data: bytes, error: bool) -> None:
        """A node printed this, on its standard error if `error`."""

    def ended(self, result: Result) -> None:
        """A node's part is over."""

    def flush(self, stop: Callable[[], bool]) -> float | None:
        """A turn of the loop is over: time to print, until `stop` says that it is enough.

        Returns in how many seconds to come again, at most.
        """

    def erase(self) -> None:
        """Somebody else writes to the terminal."""

    def close(self, *, failed: bool) -> None:
        """All is over, or Dust itself `failed`."""


class OneShots:
    """The loop over the ssh calls of one run.

    `argv` makes the call for a node, whose ssh writes its own messages to the file of that name.
    `jumps` are the jump hosts whose connections are shared, by the ids of the nodes behind them.
    `guard` is the one of this run, not entered yet.
    `timeout` bounds one command; `patience` is how long a node that turns connections away is
    tried again; both in seconds. `retries` is how often one that cannot be reached is. `kept` is
    the folder of the connections that are kept for later calls, if they are.
    """

    def __init__(
        self,
        run: Run,
        argv: Callable[[Node, str], list[str]],
        guard: Guard,
        *,
        jumps: Mapping[str, Jump] | None = None,
        feed: Feed | None = None,
        asker: Asker | None = None,
        fanout: int = 32,
        timeout: float | None = None,
        patience: float = 15.0,
        retries: int = 0,
        fail_fast: bool = False,
        kept: str = "",
    ) -> None:
        self.run = run
        self._stopped = False
        self._absent: list[Result] = []
        self._asker = asker
        self._inquiries: Inquiries | None = None
        self._environment: Mapping[str, str] = dict(os.environ)  # decoded once, not for each
        self._fanout = fanout
        self._timeout = timeout
        self._fail_fast = fail_fast
        self._selector = selectors.DefaultSelector()
        self._flow = Flow(self._selector, feed, self._output)
        self._guard = guard
        self._wanted: deque[Shot] = deque()
        self._gates: Gates[Shot] = Gates(self._start_silent, patience)
        self._verdicts = Verdicts(self._start_silent, patience, retries, kept)
        for at, result in enumerate(run.results.values()):
            if result.state != RUNNING:
                self._absent.append(result)
                self._stopped |= fail_fast
                continue
            log = os.path.join(guard.folder, str(at))
            shot = Shot(result, argv(result.node, log), log)
            if jump := (jumps or {}).get(result.node.id):
                shot.argv = jump.through(shot.argv, log)
                if not self._gates.passes(jump, f"{log}.jump", shot):
                    continue
            self._wanted.append(shot)
        self._running: dict[int, Shot] = {}
        self._limits: deque[tuple[float, int, Shot]] = deque()

    # --- the loop

    def shoot(self, outlet: Callable[[], Outlet]) -> int:
        """Run all to their end; returns the signal that ended it before that, or 0.

        The outlet is made when the first have been started. Nothing is left running here, also
        after an error.
        """
        raise_open_files()
        with Signals(signal.SIGCHLD, *ENDING) as self._signals, self._guard:
            self._selector.register(self._signals, selectors.EVENT_READ)
            self._null = os.open(os.devnull, os.O_RDWR)
            try:
                if self._asker:
                    self._take_questions(self._asker)
                self._launch()
                self._outlet = outlet()
                for result in self._absent:
                    self._outlet.ended(result)
                try:
                    number = self._loop()
                except BaseException:
                    self._outlet.close(failed=True)
                    raise
            finally:
                self._finish()
        self._outlet.close(failed=False)
        return number

    def _loop(self) -> int:
        again: float | None = 0.0
        number = 0
        try:
            while self.run.pending and not self._stopped:
                self._turn(again)
                again = self._outlet.flush(lambda: bool(self._signals.ending))
        except Signalled as signalled:
            number = signalled.number
        self._abandon()
        return number

    def _abandon(self) -> None:
        """Give up what has not ended, after the last of its output."""
        self._guard.whole = not self._running
        for shot in list(self._running.values()):
            self._flow.hang_up(shot)
            self._fail(shot, INTERRUPTED, "interrupted")
        self._running.clear()
        for shot in self._verdicts.undoubted():
            self._over(shot)
        for shot in (*self._wanted, *self._verdicts.waiting(), *self._gates.waiting()):
            self._fail(shot, NOT_BEGUN, "not begun")

    def _finish(self) -> None:
        with suppress(ProcessLookupError):
            for pid in self._gates.running:
                os.kill(pid, signal.SIGTERM)
        if self._inquiries:
            self._inquiries.close()
        os.close(self._null)
        self._selector.close()

    def _turn(self, timeout: float | None) -> None:
        """Wait for whatever comes first, and handle all there is."""
        self._flow.watch()
        for key, _ in self._selector.select(self._until(timeout)):
            if key.fileobj is self._signals:
                self._signalled()
            elif key.fileobj is self._inquiries:
                self._inquiries.serve()
            else:
                self._flow.serve(key)
        now = time.monotonic()
        while self._limits and self._limits[0][0] <= now:
            self._expire(*self._limits.popleft()[1:])
        self._wanted += self._verdicts.due()
        self._launch()

    def _until(self, timeout: float | None) -> float | None:
        """Seconds until something is due by the clock, at most `timeout`."""
        limit = self._limits[0][0] if self._limits else None
        dues = (limit, self._verdicts.deadline, self._gates.deadline)
        left = [max(0.0, at - time.monotonic()) for at in dues if at is not None]
        return min(left if timeout is None else [*left, timeout], default=None)

    def _signalled(self) -> None:
        caught = self._signals.caught()
        for number in caught:
            if number in ENDING:
                raise Signalled(number)
        self._reap()

    # --- what ssh asks

    def _take_questions(self, asker: Asker) -> None:
        from dust.inquiries import Inquiries  # without a terminal nobody is asked

        self._inquiries = Inquiries(self._guard.folder, partial(self._ask, asker), self._tell)
        self._environment = self._inquiries.environment
        self._selector.register(self._inquiries, selectors.EVENT_READ)

    def _ask(self, asker: Asker, question: Question) -> str | None:
        """Ask the user; no command's time runs meanwhile."""
        self._outlet.erase()
        begun = time.monotonic()
        answer = asker.ask(question.text, question.secret, lambda: bool(self._signals.ending))
        spent = time.monotonic() - begun
        self._limits = deque((at + spent, pid, shot) for at, pid, shot in self._limits)
        return answer

    def _tell(self, text: str) -> None:
        self._outlet.erase()
        print(text, file=sys.stderr)

    # --- starting

    def _launch(self) -> None:
        try:
            self._wanted += self._gates.open()
        except OSError as error:
            raise DustError(f"ssh cannot be started: {error.strerror}") from error
        while self._wanted and not self._stopped and len(self._running) < self._fanout:
            shot = self._wanted.popleft()
            try:
                self._start(shot)
            except FileNotFoundError as error:
                raise DustError(f"there is no {shot.argv[0]} on this machine's PATH") from error
            except OSError as error:
                if not self._running:
                    raise DustError(f"ssh cannot be started: {error.strerror}") from error
                self._wanted.appendleft(shot)  # as many at a time as there is room for
                self._fanout = len(self._running)

    def _start(self, shot: Shot) -> None:
        self._flow.begin(shot, self._guard, self._environment, self._null)
        self._running[shot.pid] = shot
        if self._timeout is not None:
            self._limits.append((shot.begun + self._timeout, shot.pid, shot))

    def _start_silent(self, argv: list[str]) -> int:
        """Run an ssh that has no command, and only opens a connection or asks about one."""
        return self._guard.start(argv, self._environment, [self._null] * 3)

    # --- output and ends

    def _output(self, result: Result, data: bytes, error: bool) -> None:
        self._outlet.output(result, data, error)

    def _reap(self) -> None:
        """Take note of every ssh that has ended."""
        while True:
            try:
                pid, code = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            status = os.waitstatus_to_exitcode(code)
            if shot := self._running.pop(pid, None):
                self._exited(shot, status)
            elif shot := self._verdicts.inquired(pid, status):
                self._over(shot)
            else:
                self._opened(pid, status)

    def _opened(self, pid: int, status: int) -> None:
        """The ssh has ended that was to open a connection, if it was one of those."""
        through, why = self._gates.ended(pid, status)
        if not why:
            self._wanted += through
            return
        for shot in through:
            self._fail(shot, UNREACHABLE, why)

    def _exited(self, shot: Shot, status: int) -> None:
        """Its ssh has ended, and what it had to say is in the pipes."""
        self._flow.drain(shot)
        shot.seconds = time.monotonic() - shot.begun
        if self._verdicts.over(shot, status):
            self._over(shot)

    def _expire(self, pid: int, shot: Shot) -> None:
        if self._running.pop(pid, None):
            os.kill(pid, signal.SIGTERM)
            self._flow.hang_up(shot)
            self._fail(shot, TIMEOUT, f"no end after {self._timeout:g} s", TIMED_OUT)

    def _fail(self, shot: Shot, state: str, why: str, status: int | None = None) -> None:
        shot.result.fail(state, why, status)
        self._over(shot)

    def _over(self, shot: Shot) -> None:
        self.run.ended(shot.result)
        self._outlet.ended(shot.result)
        if self._fail_fast and not shot.result.ok:
            self._stopped = True
