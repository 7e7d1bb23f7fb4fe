"""The coordinator's end of the zygote: starts it, and has it fork workers."""

from __future__ import annotations

import os
import select
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
        # Its writing end is the zygote's alone: the reading end tells workers, and us, of its end.
        self._lifeline, held = os.pipe()
        paths = [str(Path(__file__).resolve().parent.parent), *_library_paths()]
        call = f"main({self._lifeline}, {held})"
        program = f"import sys; sys.path[:0] = {paths!r}; from dust.zygote import main; {call}"
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", program],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            pass_fds=(self._lifeline, held),
            # A session's ssh asks on its terminal, so that what many ask is answered once.
            env={**os.environ, "SSH_ASKPASS_REQUIRE": "never"},
            start_new_session=True,
        )
        theirs.close()
        os.close(held)
        self._pipe = ours

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it and its workers live: they end with it, before the system reports its end."""
        end = select.poll()
        end.register(self._lifeline, 0)
        return not end.poll(0)

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
        os.close(self._lifeline)
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
