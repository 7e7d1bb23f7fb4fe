"""Files of hosts, one or more a line, and Ansible's inventories in the form of an INI file."""

from __future__ import annotations

import re
import shlex

from dust.backends.hostnames import Address, is_ip
from dust.backends.inventory import Inventory, Value
from dust.near import near

_HEADER = re.compile(r"\[([^\[\]]*)\][ \t]*(?:[#;].*)?")
# What no host or port in brackets is: a group, perhaps with what its lines are.
_SECTION = re.compile(r"([^:\s]+)(?::([^:\s]*))?")
_KINDS = ("hosts", "children", "vars")
_WORD = re.compile(r"[^ \t\r]+")
_QUOTED = re.compile(r"""(["'])(.*)\1[ \t]*(?:#.*)?""")
_COMMENT = re.compile(r"(?:^|[ \t]+)#.*")


def is_ini(text: str) -> bool:
    """Whether a text has groups or variables, which a plain file of hosts does not have."""
    lines = (line.strip(" \t\r") for line in text.split("\n"))
    return any(
        _header(line) is not None or "=" in _COMMENT.sub("", line)
        for line in lines
        if line[:1] not in ("", "#", ";")
    )


def read_hosts(text: str, inventory: Inventory) -> None:
    """Read a plain file of hosts: `host`, `user@host:port` or a range, separated by blanks."""
    found: dict[Address, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        for word in _WORD.findall(_COMMENT.sub("", line)):
            for address in inventory.addresses(word, number):
                found.setdefault(address, number)
    inventory.add_addresses(found)


def read_ini(text: str, inventory: Inventory) -> None:
    """Read an Ansible inventory in the form of an INI file."""
    group, kind = "", "hosts"
    named: list[tuple[str, int]] = []  # groups that may come later in the file
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip(" \t\r")
        if line[:1] in ("", "#", ";"):
            continue
        header = _header(line)
        if header is not None:
            group, kind = _section(header, number, inventory)
            if kind == "vars":
                named.append((group, number))
            else:
                inventory.add_group(group)
        elif kind == "hosts":
            pattern, variables = _host(line, number, inventory)
            inventory.add(pattern, number, group, variables)
        elif kind == "vars":
            key, value = _variable(line, number, inventory)
            inventory.set(group, {key: value})
        else:
            child = _COMMENT.sub("", line)
            named.append((child, number))
            inventory.add_child(group, child)
    for name, number in named:
        inventory.check_group(name, number)


def _header(line: str) -> str | None:
    """What stands in the brackets of `[group]`; None for any other line, such as `[::1]`."""
    match = _HEADER.fullmatch(line)
    return match[1].strip() if match and not is_ip(match[1]) else None


def _section(header: str, line: int, inventory: Inventory) -> tuple[str, str]:
    """The group of a header and what its lines are."""
    match = _SECTION.fullmatch(header)
    if not match:
        raise inventory.error(f"[{header}] is no group: write [web] or [web:children]", line)
    kind = match[2] or "hosts"
    if kind not in _KINDS:
        close = near(kind, _KINDS)
        hint = f"did you mean :{close[0]}?" if close else "there are :children and :vars"
        raise inventory.error(f"[{header}]: a group has no {kind!r}; {hint}", line)
    return match[1], kind


def _host(line: str, number: int, inventory: Inventory) -> tuple[str, dict[str, Value]]:
    """The pattern and the variables of a host's line."""
    if any(char in line for char in "\"'\\#"):
        try:
            pattern, *pairs = shlex.split(line, comments=True)
        except ValueError as error:
            raise inventory.error(f"{error} in {ascii(line)}", number) from None
    else:
        pattern, *pairs = _WORD.findall(line)
    variables = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not key or not equals:
            message = f"{ascii(pair)} is no variable of {ascii(pattern)}: write name=value"
            raise inventory.error(message, number)
        variables[key] = Value(text, number)
    return pattern, variables


def _variable(line: str, number: int, inventory: Inventory) -> tuple[str, Value]:
    """The name and the value in a line of `[group:vars]`."""
    key, equals, text = (part.strip(" \t") for part in line.partition("="))
    if not key or not equals:
        raise inventory.error(f"{ascii(line)} is no variable: write name = value", number)
    quoted = _QUOTED.fullmatch(text)
    return key, Value(quoted[2] if quoted else _COMMENT.sub("", text), number)
