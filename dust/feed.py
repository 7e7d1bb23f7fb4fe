"""Standard input for many readers, each at a pace of its own."""

from __future__ import annotations

import os
import stat
from typing import IO

#: How far the input is read ahead of its fastest reader, and in what pieces, in bytes.
AHEAD, PIECE = 1 << 20, 1 << 16


class Feed:
    """The bytes of a descriptor, from where it stands, kept until the last reader has had them.

    A regular file is read where it lies. What comes from elsewhere is kept in a file without a
    name, so that a reader that is slow holds back neither the others nor memory.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._size = self._furthest = 0
        self._spool: IO[bytes] | None = None
        #: Whether all that will ever come has been taken.
        self.complete = stat.S_ISREG(os.fstat(fd).st_mode)
        self._file = fd if self.complete else -1
        self._start = os.lseek(fd, 0, os.SEEK_CUR) if self.complete else 0

    def fileno(self) -> int:
        """The descriptor, to be watched while `hungry`."""
        return self._fd

    @property
    def hungry(self) -> bool:
        """Whether `take` should be called when there is something to read."""
        return not self.complete and self._size - self._furthest < AHEAD

    def take(self) -> None:
        """Read a piece. Raises OSError if it cannot be kept."""
        try:
            data = os.read(self._fd, PIECE)
        except BlockingIOError:
            return
        if not data:
            self.complete = True
            return
        if self._spool is None:
            from tempfile import TemporaryFile  # most commands are given no input

            self._spool = TemporaryFile()
            self._file = self._spool.fileno()
        self._spool.write(data)
        self._spool.flush()
        self._size += len(data)

    def read(self, at: int) -> bytes:
        """A piece from the `at`th byte on; b"" where there is none, or none yet."""
        self._furthest = max(self._furthest, at)
        return os.pread(self._file, PIECE, self._start + at) if self._file >= 0 else b""
