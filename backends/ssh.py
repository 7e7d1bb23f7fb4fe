"""Nodes that are the hosts of ssh's configuration, of a file or of an Ansible inventory."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from dust.backend import Change, Follow, to_the_end
from dust.backends import sshconfig
from dust.backends.hostnames import is_ip, is_port, refusal
from dust.backends.inventory import Host, Inventory, Value
from dust.backends.inventory_ini import is_ini, read_hosts, read_ini
from dust.backends.sshd import quoted
from dust.errors import BackendError, ConfigError
from dust.node import Node

_STANDARD_INPUT = "-"

# Which ssh_config keyword a variable of Ansible's is; of two that are given the last one wins.
_FACTS = {
    "ansible_ssh_host": "HostName",
    "ansible_host": "HostName",
    "ansible_ssh_port": "Port",
    "ansible_port": "Port",
    "ansible_ssh_user": "User",
    "ansible_user": "User",
    "ansible_private_key_file": "IdentityFile",
    "ansible_ssh_private_key_file": "IdentityFile",
}
_USER = re.compile(r"(?!-)[A-Za-z0-9_.@+\\-]*[A-Za-z0-9_.@+-]")
_SECRET = re.compile("pass|secret|token|key", re.IGNORECASE)
#: Properties that every node has, and what a variable of that name does not replace.
_OWN = frozenset({"name", "id", "backend", "state", "type", "ip", "private_ip", "cluster", "tags"})
# The first line of a YAML mapping: `all:`, `web: {...}`, `"web": ...`, or `---` before it.
_YAML = re.compile(r"""(?:"[^"]*"|'[^']*'|[^\s:="'\[]+)[ \t]*:(?:\s.*)?|---(?:\s.*)?|\{.*""")


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
            path = Path(inventory).expanduser()
            path = path if inventory == _STANDARD_INPUT else path.absolute()
        return cls(ssh_config.absolute() if ssh_config else None, path)

    def nodes(self) -> list[Node]:
        """Return all hosts, in the order of the file.

        Raises `ConfigError` for a file that cannot be read and for a name that ssh cannot take.
        """
        if self._inventory:
            path, text = self._read(self._inventory)
            return [_node(host, path) for host in parse(path, text).hosts()]
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


def parse(path: Path, text: str) -> Inventory:
    """Read an inventory in the form that its text has; `path` stands in errors."""
    inventory = Inventory(path)
    lines = (line.strip() for line in text.split("\n"))
    first = next((line for line in lines if line[:1] not in ("", "#", ";")), "")
    if path.suffix in (".yml", ".yaml") or _YAML.fullmatch(first):
        from dust.backends.inventory_yaml import read_yaml  # PyYAML is slow to import

        read_yaml(text, inventory)
    elif is_ini(text):
        read_ini(text, inventory)
    else:
        read_hosts(text, inventory)
    return inventory


def _plain_node(name: str, host: str) -> Node:
    """A host of ssh's own configuration, which has its facts."""
    ip = next((text for text in (host, name) if is_ip(text)), "")
    return Node(name=name, id=name, backend=SshBackend.name, ip=ip)


def _node(host: Host, path: Path) -> Node:
    facts = {
        keyword: _fact(keyword, host.variables[key], path)
        for key, keyword in _FACTS.items()
        if key in host.variables
    }
    where = facts.get("HostName", host.name).replace("%%", "%")
    plain = {
        key: value.text
        for key, value in host.variables.items()
        if key not in _FACTS and not _SECRET.search(key) and _is_plain(value.text)
    }
    details = {key: text for key, text in plain.items() if key not in _OWN}
    if "User" in facts:
        details["username"] = facts["User"]
    if "Port" in facts:
        details["port"] = facts["Port"]
    return Node(
        name=host.name,
        id=host.name,
        backend=SshBackend.name,
        type=plain.get("type", ""),
        ip=where if is_ip(where) else "",
        private_ip=plain.get("private_ip", ""),
        cluster=host.groups[0] if host.groups else "",
        tags=dict.fromkeys(host.groups, "yes"),
        details=details,
        ssh=facts,
    )


def _is_plain(text: str) -> bool:
    """Whether a value is one line and no list or mapping."""
    return text.isprintable() and text[:1] not in ("[", "{")


def _fact(keyword: str, value: Value, path: Path) -> str:
    """A value as ssh_config has it; raises `ConfigError` where ssh cannot take it."""
    text = value.text
    why = ""
    if "{{" in text:
        why = f"templates are not evaluated: {ascii(text)}"
    elif keyword == "HostName":
        why = refusal(text)
    elif keyword == "Port" and not is_port(text):
        why = f"{ascii(text)} is no port (1 to 65535)"
    elif keyword == "User" and not _USER.fullmatch(text):
        why = f"ssh cannot take {ascii(text)} as the name of a user"
    if why:
        raise ConfigError(why, path, value.line)
    if keyword == "HostName":
        return text.replace("%", "%%")
    if keyword == "IdentityFile":
        try:
            return quoted(text)
        except BackendError as error:
            raise ConfigError(str(error), path, value.line) from None
    return text
