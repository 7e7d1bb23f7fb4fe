"""What was typed at the prompt, kept in a file of the user's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from prompt_toolkit.history import History

from dust.config import write_whole
from dust.errors import ConfigError


class FileHistory(History):
    """The history in a file, an entry a line, `\\n` for a newline within one.

    Entries are appended, so that two shells at once lose nothing; at the start the file is cut to
    the newest `size`. `problem` is called once with what is wrong with the file, if anything is.
    """

    def __init__(self, path: Path, size: int, problem: Callable[[str], None]) -> None:
        super().__init__()
        self._path = path
        self._size = size
        self._problem: Callable[[str], None] | None = problem

    def load_history_strings(self) -> Iterable[str]:
        """All entries, newest first."""
        try:
            lines = self._path.read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            self._complain(f"cannot read the history: {error.strerror}")
            return []
        if len(lines) > self._size + self._size // 10:
            lines = lines[-self._size :]
            try:
                write_whole(self._path, "".join(line + "\n" for line in lines))
            except ConfigError as error:
                self._complain(str(error))
        return [_decoded(line) for line in reversed(lines[-self._size :])]

    def store_string(self, string: str) -> None:
        """Append one entry."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            fd = os.open(self._path, flags, 0o600)
            try:
                os.write(fd, (_encoded(string) + "\n").encode("utf-8", "replace"))
            finally:
                os.close(fd)
        except OSError as error:
            self._complain(f"cannot write the history: {error.strerror}; it lasts as long as dust")

    def _complain(self, text: str) -> None:
        if self._problem is not None:
            self._problem(text)
            self._problem = None


def _encoded(entry: str) -> str:
    return entry.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "")


def _decoded(line: str) -> str:
    return "\\".join(part.replace("\\n", "\n") for part in line.split("\\\\"))
