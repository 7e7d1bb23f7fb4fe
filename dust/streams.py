"""Contents of one file on their way: what to ask for or send next, and what became of it."""

from __future__ import annotations

import os
from collections.abc import Callable

from dust import sftp
from dust.sftp import Reply, Status

FINE = Status(sftp.OK, "")


def local(error: OSError) -> Status:
    """A problem of this machine, as a reply."""
    return Status(sftp.LOCAL, f"{error.strerror or error} (on this machine)")


def as_status(reply: Reply) -> Status:
    """A reply that has to be a status."""
    return reply if isinstance(reply, Status) else Status(sftp.FAILURE, "another answer")


class Upload:
    """Write `size` bytes of an open file to a handle. As a step, the reply is a Status."""

    def __init__(self, handle: bytes, fd: int, size: int) -> None:
        self.handle, self.fd, self.size = handle, fd, size
        self.status = FINE
        self.pending = 0
        self.resume: Callable[[Status], None]
        self._next = 0

    def plan(self, block: int) -> tuple[int, int] | None:
        """Offset and size of what to send next, or None if there is nothing for now."""
        size = min(block, self.size - self._next)
        if not size or self.status is not FINE:
            return None
        offset, self._next = self._next, self._next + size
        return offset, size

    def took(self, status: Status) -> None:
        """What was sent has arrived, or not."""
        if status.code != sftp.OK and self.status is FINE:
            self.status = status

    @property
    def done(self) -> bool:
        """Whether nothing more is to be sent or awaited."""
        return not self.pending and (self._next == self.size or self.status is not FINE)


class Download:
    """Read all of a handle into an open file. As a step, the reply is a Status.

    `size` is what the file should have; it may have more by now, or less.
    """

    def __init__(self, handle: bytes, fd: int, size: int) -> None:
        self.handle, self.fd, self.size = handle, fd, size
        self.status = FINE
        self.pending = 0
        self.resume: Callable[[Status], None]
        self._next = self._written = 0
        self._gaps: list[tuple[int, int]] = []  # where an answer was shorter than the question
        self._end: int | None = None

    def plan(self, block: int) -> tuple[int, int] | None:
        """Offset and size of what to ask for next, or None if there is nothing for now."""
        if self.status is not FINE:
            return None
        if self._gaps:
            return self._gaps.pop()
        if self._end is not None:
            return None
        size = block
        if self.size and self._next <= self.size:
            size = min(block, self.size - self._next + 1)  # one more, to see the end
        elif self.pending:
            return None  # beyond what is known, one after the other
        offset, self._next = self._next, self._next + size
        return offset, size

    def store(self, data: bytes | memoryview, offset: int) -> bool:
        """Write what came; False if that was not possible, now or before."""
        left = memoryview(data)
        try:
            while left and self.status is FINE:
                written = os.pwrite(self.fd, left, offset)
                left, offset = left[written:], offset + written
        except OSError as error:
            self.status = local(error)
        self._written = max(self._written, offset)
        return not left

    def took(self, offset: int, size: int, got: int, status: Status | None) -> None:
        """The question for `size` bytes from `offset` on was answered with `got` of them."""
        here = offset + got
        if status is not None and status.code != sftp.EOF:
            if self.status is FINE:
                self.status = status
        elif status is not None or not got or (got < size and here == self.size):
            self._end = here if self._end is None else min(here, self._end)
            self._gaps = [gap for gap in self._gaps if gap[0] < self._end]
        elif got < size and (self._end is None or here < self._end):
            self._gaps.append((here, size - got))

    @property
    def done(self) -> bool:
        """Whether nothing more is awaited."""
        whole = self._end is not None and not self._gaps
        return not self.pending and (whole or self.status is not FINE)

    def finish(self) -> None:
        """Cut off what came from beyond the end. Raises OSError."""
        if self._end is not None and self._written > self._end:
            os.ftruncate(self.fd, self._end)
