"""The clean process that forks workers.

It is executed anew, so that a worker inherits neither the coordinator's memory nor its threads,
and imports only what a worker needs before it forks, so that workers share it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

#: Most sockets in one request.
BATCH = 128
_PR_SET_PDEATHSIG = 1
_DEFAULT_SIGNALS = (
    signal.SIGCHLD, signal.SIGINT, signal.SIGPIPE, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP,
)  # fmt: skip


class Zygote:
    """The coordinator's end: starts the process and asks it for workers."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        paths = [str(Path(__file__).resolve().parent.parent), *_library_paths()]
        program = f"import sys; sys.path[:0] = {paths!r}; from dust.zygote import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", program],
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        self._pipe = ours

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def spawn(self, pipes: list[socket.socket]) -> None:
        """Have a worker forked for each of these pipes; they are closed here.

        Raises OSError if the zygote is gone.
        """
        try:
            for at in range(0, len(pipes), BATCH):
                batch = pipes[at : at + BATCH]
                socket.send_fds(self._pipe, [bytes([len(batch)])], [p.fileno() for p in batch])
        finally:
            for pipe in pipes:
                pipe.close()

    def close(self) -> None:
        """End it, and with it what it forked."""
        self._pipe.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _library_paths() -> list[str]:
    """Where the two libraries are that a worker needs, found without importing them."""
    from importlib.util import find_spec  # only needed when a session is opened

    found: list[str] = []
    for name in ("pexpect", "ptyprocess"):
        spec = find_spec(name)
        if spec and spec.origin:
            path = str(Path(spec.origin).resolve().parent.parent)
            if path not in found:
                found.append(path)
    return found


def main() -> None:
    """The zygote itself: forks a worker for every socket that it receives on descriptor 0."""
    from dust.worker import Worker  # and through it pexpect: shared by all workers

    control = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, soft), hard))
    for number in _DEFAULT_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for workers
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    gc.collect()
    gc.freeze()
    parent = os.getpid()
    while fds := _receive(control):
        for at, fd in enumerate(fds):
            if os.fork() == 0:
                control.close()
                for other in fds[at + 1 :]:
                    os.close(other)
                _be_worker(Worker, fd, parent)
            os.close(fd)


def _receive(control: socket.socket) -> list[int]:
    """The next batch of sockets; none when the coordinator is gone."""
    try:
        data, fds, _, _ = socket.recv_fds(control, 1, BATCH)
    except OSError:
        return []
    return fds if data else []


def _be_worker(worker: type, fd: int, parent: int) -> None:
    """The child's life; never returns."""
    status = 1
    try:
        os.setsid()
        _die_with(parent)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        worker(socket.socket(fileno=fd)).run()
        status = 0
    finally:
        os._exit(status)


def _die_with(parent: int) -> None:
    """Where the system can (Linux), end this process when the zygote ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
