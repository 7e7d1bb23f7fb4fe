"""The questions of every ssh that has no terminal of its own, asked of the user once.

ssh calls a program where it has a question (SSH_ASKPASS). Ours hands it to this process over a
socket that nobody else can reach, so that a question which many nodes have is asked only once.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from shlex import quote

from dust import asking, config
from dust.screen import printable

#: A socket's path may have no more bytes than this on any system.
LONGEST_PATH = 103
# Seconds that our own program may take to hand over its question.
_PATIENCE = 5.0
_CLIENT = Path(__file__).with_name("askpass_client.py")


class Askpass:
    """Answers questions for ssh; it belongs into a loop that watches `fileno`.

    `ask` gets the text of a question and whether its answer is secret, and returns the answer, or
    None to give up. What was answered is answered again to another ssh that asks the same; one
    that asks once more was given a wrong answer, and the user is asked anew. `tell` gets what ssh
    only wants to be known, such as a key that waits to be touched.
    """

    def __init__(
        self,
        folder: str,
        ask: Callable[[str, bool], str | None],
        tell: Callable[[str], None],
    ) -> None:
        """Make the socket in the folder, which nobody else may enter. Raises OSError."""
        self._ask = ask
        self._tell = tell
        self._path = os.path.join(folder, "askpass")
        self._answers: dict[str, tuple[str | None, set[bytes]]] = {}
        self._noticed: list[socket.socket] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self._path)
        self._socket.listen(1024)
        self._socket.setblocking(False)

    def environment(self) -> Mapping[str, str]:
        """The environment for ssh. Raises ConfigError where our program cannot be put."""
        return {
            **os.environ,
            "SSH_ASKPASS": str(_program()),
            "SSH_ASKPASS_REQUIRE": "force",
            "DUST_ASKPASS": self._path,
        }

    def fileno(self) -> int:
        """A descriptor that is readable while there is something to `serve`."""
        return self._socket.fileno()

    def serve(self) -> None:
        """Answer all who ask."""
        with suppress(BlockingIOError):
            while True:
                client, _ = self._socket.accept()
                with suppress(OSError):  # it has gone: its ssh did
                    if not self._attend(client):
                        client.close()

    def close(self) -> None:
        """Answer nobody any more."""
        for client in (self._socket, *self._noticed):
            client.close()
        os.unlink(self._path)

    def _attend(self, client: socket.socket) -> bool:
        """Answer one question; whether it is a notice, which stands until ssh takes it back."""
        client.settimeout(_PATIENCE)
        asked = b""
        while data := client.recv(4096):
            asked += data
        asker, kind, text = asked.split(b"\0", 2)
        lines = os.fsdecode(text).strip("\n").split("\n")
        question = "\n".join(printable(line) for line in lines)
        if kind == b"none":
            self._tell(question)
            self._noticed.append(client)
            return True
        answer = self._answer(asker, question, confirm=kind == b"confirm")
        if answer is not None:
            client.sendall(b"+" + os.fsencode(answer))
        return False

    def _answer(self, asker: bytes, question: str, *, confirm: bool) -> str | None:
        key = asking.same(question)
        answer, given = self._answers.get(key, (None, {asker}))
        if asker in given:
            shown = f"{question} (yes/no)" if confirm else question
            answer = self._ask(shown, asking.is_secret(shown))
            given = set()
            self._answers[key] = (answer, given)
        given.add(asker)
        refused = confirm and (answer or "").strip().lower() not in ("y", "yes")
        return None if refused else answer


def _program() -> Path:
    """The file that ssh runs, written when it is missing or another Dust's."""
    text = f'#!/bin/sh\nexec {quote(sys.executable)} -ISs {quote(str(_CLIENT))} "$1"\n'
    path = config.folder("cache") / "askpass"
    with suppress(OSError):
        if path.read_text() == text and os.access(path, os.X_OK):
            return path
    config.write_whole(path, text, 0o700)
    return path
