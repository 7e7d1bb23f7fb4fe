"""Many files at once over one sftp connection: who waits for which reply.

What becomes of one file is a task: a generator that yields what it asks of the server and goes on
with the reply. Hundreds of requests are on their way at any time, so that neither a long line nor
many small files cost a wait each.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, NamedTuple

from dust import sftp
from dust.outbox import Outbox, Stretch
from dust.sftp import Extended, Piece, Reply, Request, Status, Version
from dust.sftp_decoder import Decoder
from dust.streams import Download, Upload, as_status

#: Tasks at once: each may hold a file open on either side.
TASKS = 64
#: Bytes of contents that are asked for and not yet there.
ASKED = 4 << 20
#: Bytes of contents that are queued here, and sent but not yet acknowledged: at least and at most.
QUEUED, LEAST, MOST = 1 << 20, 1 << 18, 8 << 20
#: Seconds that an acknowledgement may take: beyond, less is sent ahead, so that an end comes soon.
SOON = 0.5


class Many(NamedTuple):
    """Run tasks until `next` has none and none runs. It is asked again when one has ended."""

    next: Callable[[], Task | None]


Step = Request | list[Request] | Upload | Download | Many
Task = Generator[Step, Any, None]


class Exchange:
    """One connection. `begin` gives what to do once the server has greeted, by its extensions."""

    def __init__(self, begin: Callable[[Version], Task]) -> None:
        self.out = Outbox()
        #: Bytes of contents that have arrived, here or there.
        self.moved = 0
        self.greeted = self.over = False
        self._begin = begin
        self._decoder = Decoder()
        self._number = 0
        self._waiting: dict[int, Callable[[Reply], None]] = {}
        self._many: tuple[Many, Callable[[None], None]] | None = None
        self._running = 0
        self._uploads: deque[Upload] = deque()
        self._downloads: deque[Download] = deque()
        self._reading = self._writing = sftp.BLOCK
        self._asked = self._sent = 0
        self._window = LEAST
        self.out.add(sftp.hello())

    def feed(self, data: memoryview) -> None:
        """Take in what the server sent. Raises ValueError on what no server sends."""
        for number, reply in self._decoder.feed(data):
            if isinstance(reply, Version):
                self._greet(reply)
                continue
            last = not isinstance(reply, Piece) or not reply.left
            waiting = self._waiting.pop(number, None) if last else self._waiting.get(number)
            if waiting is None:
                raise ValueError("a reply to nothing")
            waiting(reply)
        self._go_on()

    def stop(self, last: list[Request]) -> None:
        """Give up all tasks; it is over when these requests are answered."""
        self._uploads.clear()
        self._downloads.clear()
        self._many = None
        for number in self._waiting:
            self._waiting[number] = lambda reply: None
        if not self.greeted or self.over:
            self.over = True
            return

        def ending() -> Task:
            if last:
                yield last

        self._advance(ending(), self._finish)

    def _greet(self, version: Version) -> None:
        if self.greeted:
            raise ValueError("a second greeting")
        task = self._begin(version)
        self.greeted = True
        if sftp.LIMITS in version.extensions:
            self._ask(sftp.limits(), self._limit)
        self._advance(task, self._finish)

    def _limit(self, reply: Reply) -> None:
        if isinstance(reply, Extended):
            reading, writing = sftp.largest(reply)
            self._reading, self._writing = _even(reading), _even(writing)

    def _finish(self) -> None:
        self.over = True

    # --- tasks

    def _advance(self, task: Task, ended: Callable[[], None], value: Any = None) -> None:
        try:
            step = task.send(value)
        except StopIteration:
            ended()
            return
        resume = partial(self._advance, task, ended)
        if isinstance(step, Request):
            self._ask(step, resume)
        elif isinstance(step, list):
            self._ask_all(step, resume)
        elif isinstance(step, Many):
            self._many = step, resume
            self._go_on()
        elif isinstance(step, Upload):
            step.resume = resume
            self._uploads.append(step)
        else:
            step.resume = resume
            self._downloads.append(step)

    def _go_on(self) -> None:
        """Start as many tasks as may run, and send or ask for as much as may be on its way."""
        while self._many:
            many, resume = self._many
            while self._running < TASKS and (task := many.next()) is not None:
                self._running += 1
                self._advance(task, self._ended)
            if self._running:
                break
            self._many = None
            resume(None)
        self.fill()

    def _ended(self) -> None:
        self._running -= 1

    def _ask(self, request: Request, sink: Callable[[Any], None]) -> int:
        self._number = (self._number + 1) & 0xFFFFFFFF
        self._waiting[self._number] = sink
        self.out.add(request.packet(self._number))
        return self._number

    def _ask_all(self, requests: list[Request], resume: Callable[[list[Reply]], None]) -> None:
        replies: dict[int, Reply] = {}

        def sink(at: int, reply: Reply) -> None:
            replies[at] = reply
            if len(replies) == len(requests):
                resume([replies[at] for at in range(len(requests))])

        for at, request in enumerate(requests):
            self._ask(request, partial(sink, at))

    # --- contents

    def fill(self) -> None:
        """Send and ask for as much as may be on its way."""
        while self._uploads and self.out.size < QUEUED and self._sent < self._window:
            if plan := self._uploads[0].plan(self._writing):
                self._write(self._uploads[0], *plan)
            else:
                self._uploads.popleft()
        while self._downloads and self._asked < ASKED:
            if plan := self._downloads[0].plan(self._reading):
                self._read(self._downloads[0], *plan)
            else:
                self._downloads.popleft()

    def _write(self, upload: Upload, offset: int, size: int) -> None:
        stretch = Stretch(upload.fd, offset, size)
        sent_at = time.monotonic()

        def answered(reply: Reply) -> None:
            self._sent -= size
            upload.pending -= 1
            late = time.monotonic() - sent_at > SOON
            self._window = min(MOST, max(LEAST, self._window + (-size if late else size)))
            status = Status(sftp.LOCAL, stretch.problem) if stretch.problem else as_status(reply)
            upload.took(status)
            self.moved += size if status.code == sftp.OK else 0
            if upload.done:
                upload.resume(upload.status)

        self._ask(sftp.write_of(upload.handle, offset, size), answered)
        self.out.add_stretch(stretch)
        self._sent += size
        upload.pending += 1

    def _read(self, download: Download, offset: int, size: int) -> None:
        got = 0

        def answered(reply: Reply) -> None:
            nonlocal got
            status = None
            if isinstance(reply, Piece):
                if download.store(reply.data, offset + got):
                    self.moved += len(reply.data)
                got += len(reply.data)
                if reply.left:
                    return
            else:
                status = as_status(reply)
            self._asked -= size
            download.pending -= 1
            download.took(offset, size, got, status)
            if download.done:
                download.resume(download.status)
            elif download not in self._downloads:
                self._downloads.append(download)

        self._ask(sftp.read(download.handle, offset, size), answered)
        self._asked += size
        download.pending += 1


def _even(size: int) -> int:
    """A size in whole pages, which the system moves faster."""
    return size // 4096 * 4096 or size
