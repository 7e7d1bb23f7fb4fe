"""The coordinator's end of the zygote: starts it, and has it fork workers."""

from __future__ import annotations

import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

#: Most sockets in one request, as `dust.zygote` has it.
BATCH = 128


class Zygote:
    """A running zygote."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        paths = [str(Path(__file__).resolve().parent.parent), *_library_paths()]
        program = f"import sys; sys.path[:0] = {paths!r}; from dust.zygote import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", program],
            stdin=theirs.fileno(),
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
    found: list[str] = []
    for name in ("pexpect", "ptyprocess"):
        spec = find_spec(name)
        if spec and spec.origin:
            path = str(Path(spec.origin).resolve().parent.parent)
            if path not in found:
                found.append(path)
    return found
