"""Nodes that are the hosts of ssh's configuration, of a file or of an Ansible inventory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from dust.backend import Change, Follow, to_the_end
from dust.backends import sshconfig
from dust.backends.hostnames import is_ip
from dust.errors import BackendError, ConfigError
from dust.node import Node

_STANDARD_INPUT = "-"


class SshBackend:
    """Hosts that a file names; ssh's own configuration where none is given.

    They count as running. Nothing is read before `nodes` is asked, and each time it is asked the
    files are read again.
    """

    name = "ssh"
    region = ""
    ssh_defaults: Mapping[str, str] = MappingProxyType({})

    def __init__(self, ssh_config: Path | None, inventory: Path | None) -> None:
        """Use the hosts of `inventory`, or of `ssh_config`; `-` is standard input."""
        self.ssh_config = ssh_config
        self._inventory = inventory
        self._input: bytes | None = None
        named = inventory or ssh_config
        is_file = named is not None and str(named) != _STANDARD_INPUT
        self.label = f"ssh {named.name}" if named and is_file else "ssh"

    @classmethod
    def from_options(cls, ssh_config: Path | None, inventory: str | None) -> SshBackend:
        """Make it as `-F` and `-i` say, either of which may be missing."""
        path = None
        if inventory is not None:
            path = Path(os.path.expanduser(inventory))
            path = path if inventory == _STANDARD_INPUT else path.absolute()
        return cls(ssh_config.absolute() if ssh_config else None, path)

    def nodes(self) -> list[Node]:
        """Return all hosts, in the order of the file.

        Raises `ConfigError` for a file that cannot be read and for a name that ssh cannot take.
        """
        if self._inventory:
            from dust.backends import hosts  # most calls are given no file

            return hosts.nodes(*self._read(self._inventory), self.name)
        found = sshconfig.hosts(self.ssh_config) if self.ssh_config else sshconfig.own_hosts()
        return [_plain_node(name, host) for name, host in found.items()]

    def kept(self) -> None:
        """Return nothing: asking takes no time."""
        return None

    def regions(self) -> list[str]:
        """Return none: hosts of a file are wherever they are."""
        return []

    def elsewhere(self, region: str) -> NoReturn:
        """Raise `BackendError`: hosts of a file are wherever they are."""
        raise BackendError("these are hosts of a file, which has no regions")

    def check(self, verb: str, ids: Sequence[str]) -> None:
        """Raise `BackendError`: a file has no power over its hosts."""
        self._refuse("changed")

    def start(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        """Raise `BackendError`: a file has no power over its hosts."""
        self._refuse("started")

    def stop(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        """Raise `BackendError`: a file has no power over its hosts."""
        self._refuse("stopped")

    def reboot(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        """Raise `BackendError`: a file has no power over its hosts."""
        self._refuse("rebooted")

    def terminate(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        """Raise `BackendError`: a file has no power over its hosts."""
        self._refuse("terminated")

    def tag(self, ids: Sequence[str], tags: Mapping[str, str]) -> list[Change]:
        """Raise `BackendError`: a file has no power over its hosts."""
        self._refuse("tagged")

    def untag(self, ids: Sequence[str], keys: Sequence[str]) -> list[Change]:
        """Raise `BackendError`: a file has no power over its hosts."""
        self._refuse("untagged")

    def _refuse(self, done: str) -> NoReturn:
        named = self._inventory or self.ssh_config or sshconfig.USER
        file = "standard input" if str(named) == _STANDARD_INPUT else named
        raise BackendError(
            f"this does not apply to hosts of a file: what {file} names cannot be {done} from here"
        )

    def _read(self, path: Path) -> tuple[Path, str]:
        """The inventory's text, and the path to name in errors."""
        try:
            if str(path) != _STANDARD_INPUT:
                return path, path.read_bytes().decode("utf-8-sig", "replace")
            path = Path("standard input")
            if self._input is None:  # it can be read once only
                with open(0, "rb", closefd=False) as file:
                    self._input = file.read()
            return path, self._input.decode("utf-8-sig", "replace")
        except OSError as error:
            raise ConfigError(f"cannot be read: {error.strerror}", path) from None


def _plain_node(name: str, host: str) -> Node:
    """A host of ssh's own configuration, which has its facts."""
    ip = next((text for text in (host, name) if is_ip(text)), "")
    return Node(name=name, id=name, backend=SshBackend.name, ip=ip)
