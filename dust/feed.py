"""Standard input for many readers, each at a pace of its own."""

from __future__ import annotations

import os
import stat
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector
from typing import IO

from dust.errors import DustError

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


class Reader:
    """One who is fed: `fd` is the pipe to it (-1: closed), `given` how much was written there."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.given = 0


class Feeding:
    """Gives each reader of a feed what it takes, as the loop over a selector has it.

    The selector's data are this object where there is something to `take`, and the reader where
    one can be given something. It closes the readers' pipes.
    """

    def __init__(self, feed: Feed, selector: BaseSelector) -> None:
        self._feed = feed
        self._selector = selector
        self._starved: set[Reader] = set()
        self._watched = False

    def add(self, fd: int) -> Reader:
        """One more, who is given the input from the beginning."""
        os.set_blocking(fd, False)
        reader = Reader(fd)
        self._selector.register(fd, EVENT_WRITE, reader)
        return reader

    def watch(self) -> None:
        """Have the selector look for more input, or no longer: due before each wait."""
        feed = self._feed
        if feed.hungry == self._watched:
            return
        if self._watched:
            self._selector.unregister(feed)
        else:
            try:
                self._selector.register(feed, EVENT_READ, self)
            except PermissionError:  # /dev/null and the like cannot be waited for
                while feed.hungry:
                    self.take()
                return
        self._watched = not self._watched

    def take(self) -> None:
        """Read some input. Raises DustError if it cannot be kept."""
        try:
            self._feed.take()
        except OSError as error:
            raise DustError(f"the input cannot be kept: {error.strerror}") from error
        starved, self._starved = self._starved, set()
        for reader in starved:
            self._selector.register(reader.fd, EVENT_WRITE, reader)

    def give(self, reader: Reader) -> None:
        """Write some input to its pipe; at the end of all input close that."""
        if reader.fd < 0:
            return
        data = self._feed.read(reader.given)
        try:
            if data:
                reader.given += os.write(reader.fd, data)
            elif self._feed.complete:
                self.close(reader)
            else:
                self._selector.unregister(reader.fd)
                self._starved.add(reader)
        except BlockingIOError:
            return
        except BrokenPipeError:  # it wants no more
            self.close(reader)

    def close(self, reader: Reader) -> None:
        """Give it nothing any more."""
        if reader.fd < 0:
            return
        if reader in self._starved:
            self._starved.remove(reader)
        else:
            self._selector.unregister(reader.fd)
        os.close(reader.fd)
        reader.fd = -1
