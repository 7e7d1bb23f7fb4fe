"""The hosts of a file or of an Ansible inventory, as nodes."""

from __future__ import annotations

import re
from pathlib import Path

from dust.backends.hostnames import is_ip, is_port, refusal
from dust.backends.inventory import Host, Inventory, Value
from dust.backends.inventory_ini import is_ini, read_hosts, read_ini
from dust.errors import BackendError, ConfigError
from dust.node import Node
from dust.ssh import quoted

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


def nodes(path: Path, text: str, backend: str) -> list[Node]:
    """The nodes of an inventory, for this backend; `path` stands in errors (`ConfigError`)."""
    return [_node(host, path, backend) for host in parse(path, text).hosts()]


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


def _node(host: Host, path: Path, backend: str) -> Node:
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
        backend=backend,
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
