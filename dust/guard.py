"""What must not outlive this process: a process group, and a folder for what belongs to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType

from dust.errors import DustError
from dust.limits import LONGEST_SOCKET

# Waits for the end of its input, then removes the folder $1 and ends its process group.
_GUARD = 'read _; rm -rf -- "$1"; kill -HUP 0'


class Guard:
    """While it is entered it starts processes, and there is `folder`, nobody else's.

    They are in one group, which a shell of three words leads. When the context is left, or this
    process is gone, however it went, both end.
    """

    def __init__(self) -> None:
        #: The folder, in which a socket has room whose name is no longer than `asked`.
        self.folder = _path()
        self._group = 0
        #: Whether all has ended by itself: the rest of the group, if the context is left then, is
        #: what connections go through that are kept.
        self.whole = False

    def __enter__(self) -> Guard:
        try:
            os.mkdir(self.folder, 0o700)
        except OSError as error:
            raise DustError(f"{self.folder}: cannot be made: {error.strerror}") from error
        end, self._lifeline = os.pipe()
        null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
        self._group = os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", _GUARD, "dust", self.folder],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, end, 0), *null],
            setpgroup=0,
            setsigdef=[signal.SIGHUP],
        )
        os.close(end)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError):
            (os.kill if self.whole else os.killpg)(self._group, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self._group, 0)
        os.close(self._lifeline)
        with suppress(OSError):
            for name in os.listdir(self.folder):
                os.unlink(os.path.join(self.folder, name))
            os.rmdir(self.folder)

    def start(self, argv: list[str], environment: Mapping[str, str], fds: Sequence[int]) -> int:
        """Run a program with these as its first descriptors; returns its id. Raises OSError."""
        return os.posix_spawnp(
            argv[0],
            argv,
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, at) for at, fd in enumerate(fds)],
            setpgroup=self._group,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGHUP],
        )


def _path() -> str:
    name = f"dust-{os.urandom(8).hex()}"
    folder = os.path.join(os.environ.get("TMPDIR", "/tmp"), name)
    longest = os.path.join(folder, "asked")
    return folder if len(os.fsencode(longest)) <= LONGEST_SOCKET else os.path.join("/tmp", name)
