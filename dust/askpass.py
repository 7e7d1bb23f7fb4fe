"""Where an ssh that has no terminal of its own asks: a socket that nobody else can reach.

ssh calls a program where it has a question (SSH_ASKPASS). Ours hands it over by that socket, and
waits for the answer.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from shlex import quote

from dust import asking
from dust.plain import legible

# Seconds that our own program may take to hand over its question.
_PATIENCE = 5.0
_CLIENT = Path(__file__).with_name("askpass_client.py")


class Inquiry:
    """A question that waits for its answer. `asker` is the ssh that asks: its process."""

    def __init__(
        self, asker: int, text: str, client: socket.socket, *, secret: bool, confirms: bool
    ) -> None:
        self.asker = asker
        self.text = text
        self.secret = secret
        self._client = client
        self._confirms = confirms

    def answer(self, text: str | None) -> None:
        """Answer it; None: there is no answer, and ssh goes on without."""
        refused = self._confirms and (text or "").strip().lower() not in ("y", "yes")
        with self._client, suppress(OSError):  # it has gone: its ssh did
            if text is not None and not refused:
                self._client.sendall(b"+" + os.fsencode(text))


class Askpass:
    """Takes in what ssh asks; it belongs into a loop that watches `fileno`.

    `ask` gets each question, `tell` what ssh only wants to be known, such as a key that waits to
    be touched.
    """

    def __init__(
        self, path: str, ask: Callable[[Inquiry], None], tell: Callable[[str], None]
    ) -> None:
        """Make the socket, in a folder which nobody else may enter. Raises OSError."""
        self._ask = ask
        self._tell = tell
        self._path = path
        self._noticed: list[socket.socket] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self._path)
        self._socket.listen(1024)
        self._socket.setblocking(False)

    def environment(self, program: str) -> Mapping[str, str]:
        """The environment for an ssh that asks here by way of our `program`."""
        return {
            **os.environ,
            "SSH_ASKPASS": program,
            "SSH_ASKPASS_REQUIRE": "force",
            "DUST_ASKPASS": self._path,
        }

    def fileno(self) -> int:
        """A descriptor that is readable while there is something to `serve`."""
        return self._socket.fileno()

    def serve(self) -> None:
        """Take in all that is asked."""
        with suppress(BlockingIOError):
            while True:
                client, _ = self._socket.accept()
                try:
                    self._attend(client)
                except (OSError, ValueError):  # it has gone: its ssh did
                    client.close()

    def close(self) -> None:
        """Take in nothing any more."""
        for client in (self._socket, *self._noticed):
            client.close()
        os.unlink(self._path)

    def _attend(self, client: socket.socket) -> None:
        client.settimeout(_PATIENCE)
        asked = b""
        while data := client.recv(4096):
            asked += data
        asker, kind, text = asked.split(b"\0", 2)
        question = legible(os.fsdecode(text).strip("\n"))
        if kind == b"none":
            self._tell(question)
            self._noticed.append(client)  # it stands until ssh takes it back
            return
        confirms = kind == b"confirm"
        shown = f"{question} (yes/no)" if confirms else question
        secret = asking.is_secret(shown)
        self._ask(Inquiry(int(asker), shown, client, secret=secret, confirms=confirms))


def program(folder: Path) -> str:
    """The path of our program in this folder, written when it is missing or another Dust's.

    Raises ConfigError where it cannot be put there.
    """
    from dust.config import write_whole  # workers do not pay for it

    text = f'#!/bin/sh\nexec {quote(sys.executable)} -ISs {quote(str(_CLIENT))} "$1"\n'
    path = folder / "askpass"
    with suppress(OSError):
        if path.read_text() == text and os.access(path, os.X_OK):
            return str(path)
    write_whole(path, text, 0o700)
    return str(path)
