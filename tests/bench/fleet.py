"""The nodes that are measured on, and the ssh_config that all tools reach them by."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dust.backends.local import LocalBackend
from dust.errors import DustError
from dust.node import Node

#: The same for all tools. sntrup761, the default, would cost each login 0.1 s of processor time
#: on both tools alike and hide what differs.
COMMON = """\
Host *
    KexAlgorithms curve25519-sha256
    BatchMode yes
    StrictHostKeyChecking yes
    LogLevel ERROR
"""


@dataclass(frozen=True)
class Fleet:
    """Running nodes, and a directory for what the measuring writes."""

    nodes: list[Node]
    directory: Path

    def names(self, count: int) -> list[str]:
        """The names of the first `count` nodes."""
        return [node.name for node in self.nodes[:count]]

    def ssh_config(self, count: int) -> Path:
        """An ssh_config with the first `count` nodes."""
        blocks = []
        for node in self.nodes[:count]:
            facts = "".join(f"    {key} {value}\n" for key, value in node.ssh.items())
            blocks.append(f"Host {node.name}\n{facts}")
        path = self.directory / f"ssh_config.{count}"
        path.write_text("".join(blocks) + COMMON)
        return path


@contextmanager
def fleet(count: int) -> Iterator[Fleet]:
    """Start this many nodes; end them and remove their files when the context is left.

    Raises DustError if another bench runs. What a killed one left is ended first.
    """
    directory = Path(tempfile.gettempdir()) / f"dust-bench-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.lstat().st_uid != os.getuid():
        raise DustError(f"{directory} is not yours: remove it, then try again")
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DustError("another bench runs: they would disturb each other") from None
        _end(directory)
        try:
            backend = LocalBackend(directory / "local")
            changes = backend.create([f"node{number:04}" for number in range(1, count + 1)])
            if failed := [change for change in changes if change.error]:
                raise DustError(f"a node does not start: {failed[0].error}")
            scratch = directory / "scratch"
            scratch.mkdir(mode=0o700)
            yield Fleet(backend.nodes(), scratch)
        finally:
            _end(directory)


def _end(directory: Path) -> None:
    backend = LocalBackend(directory / "local")
    changes = backend.terminate([node.id for node in backend.nodes()])
    if failed := [change for change in changes if change.error]:
        raise DustError(f"a node does not end: {failed[0].error}")
    for name in ("local", "scratch"):
        if (directory / name).exists():
            shutil.rmtree(directory / name)
