"""One node's copy, in its worker: an ssh without a terminal, and files on either side of it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from dust import messages, reasons, sftp
from dust.archive import Archive
from dust.askpass import Askpass, Inquiry
from dust.connection import PIPE, Connection
from dust.download import Get
from dust.exchange import Exchange, Task
from dust.plain import printable
from dust.sftp import Version
from dust.streams import local
from dust.tally import Tally
from dust.upload import Put

#: Seconds between two messages about how far it is; for tidying up before it ends in any case.
PACE, PATIENCE = 0.25, 3.0
#: How many files are counted in one turn.
_COUNTED = 200
#: What ssh says where the server has no such subsystem.
_NO_SFTP = b"subsystem request failed"
#: What mostly stands before the first reply of a server where that is none.
_PRINTED = "; no start-up file of the shell there (.bashrc) may print without a terminal"


class Lacking(Exception):
    """The server cannot do what a copy needs."""


class Copier:
    """A copy on one node. `emit` takes its messages; it is `over` after the last one."""

    def __init__(self, order: messages.Copy, emit: Callable[[messages.Message], None]) -> None:
        self.over = False
        self._order = order
        self._emit = emit
        self._tally = Tally()
        self._buffer = memoryview(bytearray(PIPE))
        self._until = time.monotonic() + order.timeout
        self._retry_at: float | None = None
        self._told_at, self._told = 0.0, (-1, -1, -1)
        self._tries = 0
        self._stopping = ""
        self._copy: Put | Get
        names = [name.encode("latin-1") for name in order.names]
        directory = order.directory.encode("latin-1")
        if order.put:
            self._copy = Put(names, directory, self._tally)
        else:
            self._copy = Get([os.fsdecode(name) for name in names], directory, self._tally)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._inquiries: deque[Inquiry] = deque()
        self._askpass, self._environment = self._asking(order.askpass)
        self._connection: Connection | None = None
        self._archive: Archive | None = None
        try:
            os.chdir(order.folder.encode("latin-1"))
            self._counting: Iterator[None] | None = self._copy.count()
            self._connect()
        except OSError as error:
            self._end("ended", f"{error.filename or 'ssh'}: {local(error).text}")

    # --- for the worker's loop

    @property
    def readers(self) -> list[int]:
        """Descriptors to read from."""
        asking = [self._askpass.fileno()] if self._askpass else []
        if self._archive:
            return [*asking, self._archive.over]
        return [*asking, *self._connection.readers] if self._connection else asking

    @property
    def writers(self) -> list[int]:
        """Descriptors to write to, now."""
        if self._connection and not self._archive and self._exchange.out.size:
            return [self._connection.to]
        return []

    @property
    def deadline(self) -> float | None:
        """When a turn is due at the latest (monotonic seconds), or None."""
        if self._counting is not None and not self._stopping:
            return 0.0
        if self._retry_at is not None:
            return self._retry_at
        if self._archive:
            return self._told_at + PACE
        if self._stopping or not (self._exchange.greeted or self._inquiries):
            return self._until
        return None

    def turn(self, readable: list[int], writable: list[int]) -> None:
        """Go on, with what there is to read and room to write."""
        if self._counting is not None:
            if sum(1 for _ in islice(self._counting, _COUNTED)) < _COUNTED:
                self._counting = None
        if self._askpass and self._askpass.fileno() in readable:
            self._askpass.serve()
        now = time.monotonic()
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            self._connect()
        if self._archive:
            if self._archive.over in readable:
                self._end_archive(self._archive)
        elif (connection := self._connection) is not None:
            try:
                connection.hear(readable)
                if connection.output in readable:
                    self._listen(connection)
                if self._connection is connection and connection.to in writable:
                    self._exchange.out.flush(connection.to)
                    self._exchange.fill()
            except Lacking:
                self._fall_back()
            except ValueError as error:
                hint = "" if self._exchange.greeted else _PRINTED
                self._end("ended", f"its sftp server cannot be used: {error}{hint}")
            except OSError as error:
                self._lost(error.strerror or str(error))
        if not (self.over or self._archive) and self._retry_at is None and now >= self._until:
            if self._stopping:
                self._end("ended", self._stopping)
            elif not (self._exchange.greeted or self._inquiries):
                self._end("timed out", f"no sftp server within {self._order.timeout:g} s")
        if not self.over and now >= self._told_at + PACE:
            self._tell(now)

    def cancel(self, why: str = "interrupted") -> None:
        """Stop, and remove what is not whole; it may take some time until it is over."""
        if self.over or self._stopping:
            return
        self._stopping = why
        self._until = time.monotonic() + PATIENCE
        leftovers = self._copy.leftovers()
        if self._connection is None or self._archive:
            self._end("ended", why)
            return
        self._exchange.stop(leftovers)
        if self._exchange.over:
            self._end("ended", why)

    # --- what ssh asks

    def _asking(self, words: list[str]) -> tuple[Askpass | None, Mapping[str, str]]:
        """Where ssh asks, and its environment; it cannot ask where that cannot be made."""
        if words:
            program, path = words
            with contextlib.suppress(OSError):
                askpass = Askpass(path, self._asked, lambda text: self._emit(messages.Notice(text)))
                return askpass, askpass.environment(program)
        return None, os.environ

    def _asked(self, inquiry: Inquiry) -> None:
        self._inquiries.append(inquiry)
        self._emit(messages.Question(inquiry.text, inquiry.secret, inquiry.asker))

    def answer(self, text: str | None) -> None:
        """Answer what was asked first; None: there is no answer. The time begins anew."""
        self._inquiries.popleft().answer(text)
        self._until = time.monotonic() + self._order.timeout

    # --- the connection

    def _connect(self) -> None:
        self._tries += 1
        self._exchange = Exchange(self._begin)
        self._connection = Connection(self._order.argv, self._environment)

    def _begin(self, version: Version) -> Task:
        if self._order.put and sftp.RENAME not in version.extensions:
            raise Lacking  # it cannot replace files
        return self._copy.begin(version)

    def _listen(self, connection: Connection) -> None:
        size = 0
        with contextlib.suppress(BlockingIOError):
            size = os.readv(connection.output, [self._buffer])
            if not size:
                self._lost("")
                return
        self._exchange.feed(self._buffer[:size])
        if self._exchange.over:
            self._end("ended", self._stopping or self._copy.problem)

    def _lost(self, problem: str) -> None:
        """ssh has ended, or takes nothing any more."""
        assert self._connection is not None
        said = self._connection.close()
        self._connection = None
        if self._stopping:
            self._end("ended", self._stopping)
            return
        kind, text = reasons.reason(said.decode("utf-8", "replace"))
        if not self._exchange.greeted:
            if reasons.overloaded(text) and time.monotonic() < self._until:
                self._retry_at = time.monotonic() + min(4.0, 0.25 * 2**self._tries)
                return
            if _NO_SFTP in said:
                self._fall_back()
                return
        else:
            kind = "dropped" if kind == "ended" else kind
        self._end(kind, text or problem or "the connection was closed (ssh -v may say why)")

    # --- without an sftp server

    def _fall_back(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._emit(messages.Note("no sftp server there that can do it: copied by tar"))
        self._connection = Connection(self._order.shell, self._environment)
        self._archive = Archive(self._order, *self._connection.hand_over(), self._tally)

    def _end_archive(self, archive: Archive) -> None:
        assert self._connection is not None
        said, status = self._connection.close(), self._connection.status
        self._connection = None
        text = " · ".join(reasons.lines(said.decode("utf-8", "replace")))
        problem = archive.problem or (f"exit {status}" if status else "")
        if problem and self._order.put:
            self._tally.files = self._tally.size = 0  # nobody knows
        self._end("ended", (text or problem) if problem else "")

    # --- what is told

    def _tell(self, now: float) -> None:
        tally = self._tally
        size = min(self._exchange.moved, tally.size_known or self._exchange.moved)
        told = tally.files, max(size, tally.size), tally.size_known
        if told != self._told:
            self._told, self._told_at = told, now
            self._emit(messages.Moved(told[0], told[1], tally.files_known, told[2]))

    def _end(self, kind: str, error: str) -> None:
        """Say what became of it. `error` is why not everything was tried, or ""."""
        if self._askpass:
            self._askpass.close()
            while self._inquiries:
                self._inquiries.popleft().answer(None)
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if error:
            self._copy.leftovers()  # those on this machine
            if self._archive:
                self._archive.tidy()
        self.over = True
        tally = self._tally
        self._emit(
            messages.CopyEnded(
                kind if error else "",
                printable(error),
                tally.files,
                tally.size,
                _rows(tally.failures),
                _rows(tally.skipped),
            )
        )


def _rows(reasons: dict[str, tuple[int, bytes]]) -> list[tuple[str, int, str]]:
    return [
        (printable(reason), count, printable(os.fsdecode(name)))
        for reason, (count, name) in reasons.items()
    ]
