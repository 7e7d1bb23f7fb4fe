"""The ssh calls of one dust: its made configuration, written once, and a node's argv."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dust import config, ssh
from dust.backend import Backend
from dust.errors import ConfigError
from dust.mentions import mentioned
from dust.node import Node

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

#: ssh's own configuration files, which the one that Dust makes includes.
_USER_CONFIG, _SYSTEM_CONFIG = Path("~/.ssh/config"), Path("/etc/ssh/ssh_config")


def included(backend: Backend) -> list[Path]:
    """The configuration files that hold for connections to nodes of a backend."""
    if own := backend.ssh_config:
        return [own.absolute()]
    return [file for file in (_USER_CONFIG.expanduser(), _SYSTEM_CONFIG) if file.exists()]


class Calls:
    """What runs ssh for nodes.

    `preferred` holds where neither the user's nor the system's configuration says anything.
    `place` writes a file for this dust alone; without it, and where it returns None, one is kept
    for every dust that makes the same.
    """

    def __init__(
        self, preferred: Mapping[str, str], place: Callable[[str], Path | None] | None = None
    ) -> None:
        self._preferred = preferred
        self._place = place
        #: By the backend and by what it guesses of a node: the same for all nodes of an image.
        self._made: dict[tuple[Backend, tuple[tuple[str, str], ...]], Path] = {}
        self._folder: TemporaryDirectory[str] | None = None
        self._mentioned: dict[Backend, frozenset[str]] = {}

    def argv(
        self,
        backend: Backend,
        node: Node,
        command: str,
        *,
        tty: bool = True,
        subsystem: bool = False,
        options: Sequence[str] = (),
    ) -> list[str]:
        """The call that runs `command` on a node of `backend`; the rest is as for ssh.argv.

        Raises SessionError for what ssh cannot take.
        """
        made = self.config(backend, node)
        ours = [*self.attended(backend), *options]
        return ssh.argv(node, made, command, tty=tty, subsystem=subsystem, options=ours)

    def attended(self, backend: Backend) -> Sequence[str]:
        """Options by which ssh runs what it is given and stays, if the configuration needs them."""
        return () if self.mentioned(backend).isdisjoint(ssh.UNATTENDED) else ssh.ATTENDED

    def mentioned(self, backend: Backend) -> frozenset[str]:
        """What is mentioned in the configuration that holds for the nodes of a backend."""
        found = self._mentioned.get(backend)
        if found is None:
            found = self._mentioned[backend] = mentioned(map(str, included(backend)))
        return found

    def preferring(self, more: Mapping[str, str]) -> Calls:
        """Calls that prefer this too."""
        calls = Calls({**self._preferred, **more}, self._place)
        calls._mentioned = self._mentioned  # what is read once serves both
        return calls

    def config(self, backend: Backend, node: Node) -> Path:
        """The configuration that the calls for a node are made with."""
        key = backend, tuple(node.ssh_defaults.items())
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._write(backend, node.ssh_defaults)
        return made

    def _write(self, backend: Backend, guessed: Mapping[str, str]) -> Path:
        text = ssh.config(included(backend), {**self._preferred, **backend.ssh_defaults, **guessed})
        if self._place and (private := self._place(text)):
            return private
        name = f"ssh_config.{zlib.crc32(text.encode()):08x}"
        try:
            path = config.folder("cache") / name
            if not path.exists():
                config.write_whole(path, text)
        except ConfigError:  # a home that cannot be written
            from tempfile import TemporaryDirectory

            self._folder = self._folder or TemporaryDirectory(prefix="dust-")
            path = Path(self._folder.name) / name
            path.write_text(text)
        return path
