"""What waits to be sent: packets, and stretches of files that need not pass through here."""

from __future__ import annotations

import errno
import os
import sys
from collections import deque

#: What is read at once where the system cannot move it by itself, and sent for a file that is cut.
_PIECE = 1 << 16


class Stretch:
    """`left` bytes of a file from `offset` on. `problem` says why they could not be read.

    They were promised to the server: what is missing is sent as zeros.
    """

    def __init__(self, fd: int, offset: int, left: int) -> None:
        self.fd, self.offset, self.left = fd, offset, left
        self.problem = ""


class Outbox:
    """A queue before a pipe that does not block."""

    def __init__(self) -> None:
        #: How many bytes wait.
        self.size = 0
        self._queue: deque[bytearray | Stretch] = deque()
        self._moves = sys.platform == "linux"

    def add(self, packet: bytes) -> None:
        """Send these octets."""
        self.size += len(packet)
        if self._queue and isinstance(last := self._queue[-1], bytearray):
            last += packet
        else:
            self._queue.append(bytearray(packet))

    def add_stretch(self, stretch: Stretch) -> None:
        """Send a stretch of a file, which has to stay open until then."""
        self.size += stretch.left
        self._queue.append(stretch)

    def flush(self, fd: int) -> None:
        """Send as much as the pipe takes now. Raises OSError if its other end is closed."""
        try:
            while self._queue:
                first = self._queue[0]
                if isinstance(first, Stretch):
                    sent = self._send(fd, first)
                    first.offset += sent
                    first.left -= sent
                    done = not first.left
                else:
                    sent = os.write(fd, first)
                    done = sent == len(first)
                    del first[:sent]
                self.size -= sent
                if done:
                    self._queue.popleft()
        except BlockingIOError:
            return

    def _send(self, fd: int, stretch: Stretch) -> int:
        sent = 0
        if self._moves and not stretch.problem:
            try:
                sent = _move(stretch, fd)
            except BlockingIOError:
                raise
            except OSError as error:
                if error.errno == errno.EPIPE:
                    raise
                self._moves = False  # not from this file system, and reading tells why else
        if not sent:
            sent = os.write(fd, _read(stretch))
        return sent


def _move(stretch: Stretch, fd: int) -> int:
    """From the page cache to the pipe without a copy of it here; 0 where the file ends."""
    assert sys.platform == "linux"
    return os.splice(
        stretch.fd, fd, stretch.left, offset_src=stretch.offset, flags=os.SPLICE_F_NONBLOCK
    )


def _read(stretch: Stretch) -> bytes:
    size = min(stretch.left, _PIECE)
    data = b""
    if not stretch.problem:
        try:
            data = os.pread(stretch.fd, size, stretch.offset)
            if not data:
                stretch.problem = "it was cut short while it was copied"
        except OSError as error:
            stretch.problem = f"cannot be read: {error.strerror}"
    return data or bytes(size)
