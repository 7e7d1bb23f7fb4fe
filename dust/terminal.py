"""The pty of one `ssh`, under pexpect. The only file that imports pexpect."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
import termios
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pexpect
from pexpect import pty_spawn
from ptyprocess import ptyprocess

from dust.escape import Escape
from dust.limits import LAST

#: Most bytes taken in one turn, and waiting for a program that does not read its input.
TURN, QUEUE = 1 << 16, 1 << 20
#: The terminal takes no more than this at once without dropping some on some systems.
_SLICE = 1024


def _found(command: str, env: object = None) -> str:
    """The path of a command, which came as one."""
    return command


#: The ends of children's terminals as the children have them.
_held: list[int] = []


def _fork() -> tuple[int, int]:
    """Fork a child on a pty of its own, as pty.fork() does, but hold the child's end of it too."""
    master, slave = os.openpty()
    _held.append(slave)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(slave, fd)
    return pid, master


def child_ended(*_: object) -> None:
    """The handler of SIGCHLD: hold no more what would hide the end of a child's terminal."""
    while _held:
        os.close(_held.pop())


# Both would go through PATH for what the coordinator has found: 0.2 MB of each worker's memory.
_pty_spawn: Any = pty_spawn
_pty_spawn.which = ptyprocess.which = _found
# What ptyprocess has where pty.fork() is no good.
_ptyprocess: Any = ptyprocess
_ptyprocess.use_native_pty_fork = False
_ptyprocess._fork_pty = SimpleNamespace(fork_pty=_fork)


class Detach(Exception):
    """The user left raw mode."""


class Gone(Exception):
    """The shell has ended, while its ssh goes on for others."""


class Terminal:
    """A child on a pty of its own. Writes are queued; nothing here blocks but `interact`."""

    def __init__(self, argv: list[str], rows: int, columns: int) -> None:
        self._child: Any = pexpect.spawn(
            argv[0], argv[1:], timeout=None, dimensions=(rows, columns), maxread=TURN
        )
        #: Whether it may be a while until somebody reads again.
        self.unread = False
        self._queue = bytearray()
        #: The end of what was printed, which may hold ssh's last words.
        self.last = b""
        #: The signal by which somebody ended the child, once it is reaped.
        self.killed = 0
        self.fd: int = self._child.child_fd
        os.set_blocking(self.fd, False)

    @property
    def queued(self) -> int:
        """How many bytes wait until the terminal takes them."""
        return len(self._queue)

    @property
    def echo(self) -> bool:
        """Whether the pty echoes: not while ssh asks for a secret."""
        try:
            return bool(self._child.getecho())
        except OSError:
            return True

    def write(self, data: bytes) -> None:
        """Queue bytes and write what the terminal takes now."""
        self._queue += data
        self.flush()

    def flush(self) -> None:
        """Write queued bytes as far as the terminal takes them."""
        while self._queue:
            try:
                written = os.write(self.fd, self._queue[:_SLICE])
            except BlockingIOError:
                return
            except OSError:  # it is gone: reading will say so
                self._queue.clear()
                return
            del self._queue[:written]

    def drop(self) -> None:
        """Forget what has not been written."""
        self._queue.clear()

    def read(self) -> bytes:
        """What there is, up to a turn's worth, or b"". Raises EOFError at the end."""
        pieces: list[bytes] = []
        size = 0
        while size < TURN:
            try:
                piece = os.read(self.fd, TURN)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.EIO:  # how Linux says the end
                    raise
                piece = b""
            if not piece:
                if pieces:
                    break
                raise EOFError
            pieces.append(piece)
            size += len(piece)
            if len(piece) < 1024:
                break
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.last = data[-LAST:] if len(data) >= LAST else (self.last + data)[-LAST:]
        return data

    @property
    def printed(self) -> bool:
        """Whether there is something to read."""
        return bool(select.select([self.fd], [], [], 0)[0])

    def leave_unread(self, unread: bool) -> None:
        """Have ssh not stand still in a write() while nobody reads, or do so again.

        It would serve none of the others who go through its connection. A write() that stands
        still already goes on when something is read.
        """
        self.unread = unread
        with contextlib.suppress(OSError):  # the child ends at this moment
            for fd in _held:
                os.set_blocking(fd, not unread)

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal, and thereby the remote one, its size."""
        with contextlib.suppress(OSError):
            self._child.setwinsize(rows, columns)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self._child.getwinsize()
        return rows, columns

    def interact(
        self,
        tty: tuple[int, int],
        control: list[int],
        typed: Callable[[bytes], None],
        shown: Callable[[bytes], bytes],
        woken: Callable[[int], None],
        due: Callable[[], float | None],
        tick: Callable[[], None],
    ) -> None:
        """Give the child the user's terminal (`tty`: in and out) until one of them ends.

        `typed` sees what is passed on, `shown` turns what the child printed into what the user
        sees, `woken` is called with those of `control` that are readable, `tick` when it is time
        for what is `due` (monotonic seconds); both may raise. Raises Detach when the user leaves.
        """
        escape = Escape()

        def keys(data: bytes) -> bytes:
            if not data:
                raise EOFError  # the user's terminal is gone
            passed, leave = escape.feed(data, time.monotonic())
            pass_on(passed)
            if leave:
                raise Detach
            return b""  # written from the queue, as the child takes it

        def pass_on(data: bytes) -> None:
            if data:
                typed(data)
                self.write(data)

        def printed(data: bytes) -> bytes:
            self.last = (self.last + data)[-LAST:]
            return shown(data)

        def wait(*_: object) -> tuple[list[int], list[int], list[int]]:
            while True:
                dues = [at for at in (escape.deadline, due()) if at is not None]
                timeout = max(0.0, min(dues) - time.monotonic()) if dues else None
                writing = [self.fd] if self._queue else []
                ready, writable, _errors = select.select(
                    [self.fd, tty[0], *control], writing, [], timeout
                )
                for fd in control:
                    if fd in ready:
                        woken(fd)
                if writable:
                    self.flush()
                now = time.monotonic()
                if escape.deadline is not None and now >= escape.deadline:
                    pass_on(escape.release())
                if (at := due()) is not None and now >= at:
                    tick()
                if interesting := [fd for fd in ready if fd not in control]:
                    return interesting, [], []

        self.leave_unread(True)  # the user's terminal may take nothing, and interact() waits for it
        self._child.STDIN_FILENO, self._child.STDOUT_FILENO = tty
        with _waiting_with(wait):
            self._child.interact(escape_character=None, input_filter=keys, output_filter=printed)

    def reap(self, patience: float = 1.0) -> int:
        """The status of the child, which has closed its terminal: 128 + signal, -1 if unknown.

        One that lingers longer than `patience` seconds is killed.
        """
        deadline = time.monotonic() + patience
        lingers = False
        while True:
            try:
                pid, status = os.waitpid(self._child.pid, os.WNOHANG)
            except ChildProcessError:  # interact() has seen the end
                self.killed = int(self._child.signalstatus or 0)
                status = 128 + self.killed if self.killed else self._child.exitstatus
                return -1 if status is None else int(status)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self.killed = 0 if lingers else max(0, -code)
                return code if code >= 0 else 128 - code
            if time.monotonic() > deadline:
                lingers = True
                with contextlib.suppress(OSError):
                    os.kill(self._child.pid, signal.SIGKILL)
                deadline += patience
            time.sleep(0.005)

    def close(self) -> None:
        """Hang up: the kernel tells ssh when its terminal goes."""
        self._child.closed = True  # or its destructor would close once more, and wait
        self._child.ptyproc.closed = True
        with contextlib.suppress(OSError):
            self._child.ptyproc.fileobj.close()


@contextlib.contextmanager
def _waiting_with(wait: Callable[..., object]) -> Iterator[None]:
    """Let interact() wait with our select: its own knows only two descriptors and no deadline."""
    original = _pty_spawn.select_ignore_interrupts
    _pty_spawn.select_ignore_interrupts = wait
    try:
        yield
    finally:
        _pty_spawn.select_ignore_interrupts = original
