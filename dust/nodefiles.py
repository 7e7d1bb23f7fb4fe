"""One output of a run in files, one for each node."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from dust.errors import DustError
from dust.filenames import safe_name
from dust.node import Node
from dust.report import Silent
from dust.run import Result, Run


class Files(Silent):
    """A file for each node in one folder, also for a node that prints nothing."""

    def __init__(self, folder: Path, run: Run, name: Callable[[Node], str]) -> None:
        """Make them; raises DustError."""
        self._files: dict[str, IO[bytes]] = {}
        with ExitStack() as opened:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                for id, result in run.results.items():
                    path = folder / safe_name(name(result.node))
                    self._files[id] = opened.enter_context(open(path, "wb"))
            except OSError as error:
                raise _unwritable(error, str(error.filename or folder)) from error
            opened.pop_all()

    def write(self, result: Result, data: bytes) -> None:
        """Into the node's file."""
        file = self._files[result.node.id]
        try:
            file.write(data)
        except OSError as error:
            raise _unwritable(error, file.name) from error

    def ended(self, result: Result) -> None:
        """The file is whole."""
        file = self._files.pop(result.node.id)
        try:
            file.close()
        except OSError as error:
            raise _unwritable(error, file.name) from error


def _unwritable(error: OSError, path: str) -> DustError:
    if isinstance(error, FileExistsError):
        return DustError(f"{path}: this is no folder")
    return DustError(f"{path}: cannot be written: {error.strerror}")
