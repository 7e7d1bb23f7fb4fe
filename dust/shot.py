"""One node's part in a run of one-shots: its ssh, and the pipes to it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping
from contextlib import suppress

from dust.feed import Reader
from dust.guard import Guard
from dust.limits import LAST
from dust.run import Result

#: Most bytes taken at once from one node, and the size asked for of the pipe they come through.
TAKEN = 1 << 18


class Shot:
    """What becomes of one node; `argv` is the call, whose ssh writes its own messages to `log`."""

    def __init__(self, result: Result, argv: list[str], log: str) -> None:
        self.result = result
        self.argv = argv
        self.log = log
        self.pid = 0
        self.begun = self.first = self.seconds = 0.0
        self.tries = 0
        self.reader: Reader | None = None
        self.outputs: dict[int, bool] = {}  # descriptor to: is standard error
        self.spoke = False
        self.last = b""  # the end of its standard error, where ssh may say why it ends

    def start(self, guard: Guard, environment: Mapping[str, str], stdin: int) -> None:
        """Run its ssh, with that for standard input. Raises OSError."""
        output, write_output = os.pipe()
        errors, write_errors = os.pipe()
        try:
            self.pid = guard.start(self.argv, environment, (stdin, write_output, write_errors))
        finally:
            os.close(write_output)
            os.close(write_errors)
        self.begun = time.monotonic()
        self.first = self.first or self.begun
        self.tries += 1
        self.outputs = {output: False, errors: True}
        for fd in self.outputs:
            os.set_blocking(fd, False)
            with suppress(OSError, AttributeError):  # not on this system, or no more of them
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, TAKEN)

    def read(self, fd: int) -> bytes | None:
        """What has come through one of its `outputs`: b"" at the end, None if nothing for now."""
        try:
            data = os.read(fd, TAKEN)
        except BlockingIOError:
            return None
        self.spoke = self.spoke or bool(data)
        if self.outputs[fd]:
            self.last = (self.last + data[-LAST:])[-LAST:]
        return data
