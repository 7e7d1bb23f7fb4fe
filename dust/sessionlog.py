"""What sessions print and are sent, each in a file of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from dust import config
from dust.errors import DustError
from dust.filenames import safe_name
from dust.node import Node
from dust.plain import printable, strip_colours


class SessionLog:
    """Appends to `folder`/NODE.log, until that fails: this is told once, and ends the log.

    The text is what the screen gets, without colours. A line that was sent stands behind the time
    and a `$`. Secrets go to the sessions by another way.
    """

    def __init__(
        self, folder: Path, name: Callable[[Node], str], failed: Callable[[str], None]
    ) -> None:
        """Make the folder, for its owner alone, if it is missing. Raises DustError."""
        self.folder = folder
        self._name = name
        self._failed = failed
        self._files: dict[str, IO[bytes]] = {}
        self._open: set[str] = set()  # ids of nodes whose last line has no end yet
        self._fresh: set[str] = set()  # those to be flushed
        config.make_folder(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise DustError(f"{folder}: cannot be written")

    def output(self, node: Node, data: bytes) -> None:
        """A session printed this."""
        self._write(node, strip_colours(data) if b"\x1b" in data else data)

    def sent(self, node: Node, line: str) -> None:
        """A session is sent this line."""
        end = b"\n" if node.id in self._open else b""
        text = f"{time.strftime('%H:%M:%S')} $ {printable(line)}\n"
        self._write(node, end + text.encode("utf-8", "replace"))

    def flush(self) -> None:
        """Let files have what was gathered."""
        fresh, self._fresh = self._fresh, set()
        try:
            for id in fresh:
                self._files[id].flush()
        except OSError as error:
            self._fail(error)

    def close(self) -> None:
        """End all files."""
        files, self._files = self._files, {}
        try:
            for file in files.values():
                file.close()
        except OSError as error:
            self._fail(error)

    def _write(self, node: Node, data: bytes) -> None:
        try:
            file = self._files.get(node.id) or self._file(node)
            file.write(data)
        except OSError as error:
            self._fail(error)
            return
        self._fresh.add(node.id)
        (self._open.discard if data.endswith(b"\n") else self._open.add)(node.id)

    def _file(self, node: Node) -> IO[bytes]:
        path = self.folder / f"{safe_name(self._name(node))}.log"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        file = self._files[node.id] = open(descriptor, "ab")
        return file

    def _fail(self, error: OSError) -> None:
        files, self._files = self._files, {}
        self._fresh.clear()
        for file in files.values():
            with suppress(OSError):
                file.close()
        self._failed(f"the log in {self.folder} has ended: {error.strerror}")
