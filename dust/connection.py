"""A running ssh without a terminal: the pipes to and from it, and what it says beside them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Mapping

#: How much a pipe to or from ssh is asked to hold, and how much of its errors is kept, in bytes.
PIPE, SAID = 1 << 20, 4096


class Connection:
    """A running ssh: `to` and `output` are its standard input and output."""

    def __init__(self, argv: list[str], environment: Mapping[str, str]) -> None:
        theirs, self.to = os.pipe()
        self.output, their_output = os.pipe()
        self._errors, their_errors = os.pipe()
        self.readers = [self.output, self._errors]
        self._said = b""
        self.status = 0
        self._ours = [self.to, self.output]
        ends = theirs, their_output, their_errors
        try:
            self._pid = os.posix_spawn(
                argv[0],
                argv,
                environment,
                file_actions=[(os.POSIX_SPAWN_DUP2, end, at) for at, end in enumerate(ends)],
                setsigdef=[signal.SIGPIPE],
            )
        finally:
            for end in ends:
                os.close(end)
        for fd in (self.to, self.output, self._errors):
            os.set_blocking(fd, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            for fd in (self.to, self.output):
                with contextlib.suppress(OSError):  # the user's share of such pipes is used up
                    fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE)

    def hand_over(self) -> tuple[int, int]:
        """The ends of both pipes, blocking, for somebody who closes them."""
        self._ours.clear()
        for fd in (self.to, self.output):
            os.set_blocking(fd, True)
        return self.to, self.output

    def hear(self, readable: list[int]) -> None:
        """Take in what ssh says beside the protocol."""
        if self._errors not in readable:
            return
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._errors, SAID)
            self._said = (self._said + data)[-SAID:]
            if not data:
                self.readers.remove(self._errors)

    def close(self) -> bytes:
        """Hang up, see that it ends, and return what it has said."""
        for fd in self._ours:
            os.close(fd)
        deadline = time.monotonic() + 1.0
        while not (ended := os.waitpid(self._pid, os.WNOHANG))[0]:
            if time.monotonic() > deadline:
                os.kill(self._pid, signal.SIGKILL)
                deadline += 1.0
            time.sleep(0.005)
        self.status = os.waitstatus_to_exitcode(ended[1])
        if self._errors in self.readers:
            self.hear([self._errors])
        os.close(self._errors)
        return self._said
