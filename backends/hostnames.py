"""Names of hosts as files have them: what ssh can take, ranges, and `user@host:port`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from itertools import product
from math import prod
from typing import NamedTuple

from dust import nodeset
from dust.errors import TargetError
from dust.ssh import NAME

_ALLOWED = r"[A-Za-z0-9_.:%@\[\]-]"
_SIX = r"(?:[^@\[\]]*@)?\[([^\[\]]*)\][^\[\]]*"
# Ansible's ranges; those of numbers mean what `nodeset` writes with `-` and `/`.
_NUMBERS = r"\[(\d*):(\d+)(?::(\d+))?\]"
_LETTERS = r"\[([A-Za-z]):([A-Za-z])(?::(\d+))?\]"


class Address(NamedTuple):
    """The parts of `user@host:port`; "" for what is not said."""

    user: str
    host: str
    port: str

    def __str__(self) -> str:
        """Return it in the form it is written in."""
        host = f"[{self.host}]" if self.port and ":" in self.host else self.host
        return f"{self.user}@" * bool(self.user) + host + f":{self.port}" * bool(self.port)


def refusal(name: str) -> str:
    """Why ssh cannot take this as the name of a host; "" if it can."""
    if re.fullmatch(NAME, name):
        return ""
    if not name:
        return "the name of a host is missing"
    odd = next((char for char in name if not re.fullmatch(_ALLOWED, char)), "")
    if "{{" in name:
        reason = "templates are not evaluated"
    elif odd:
        reason = f"it has {ascii(odd)} in it"
    else:
        reason = "it begins with '-'" if name[0] == "-" else "what belongs to its '@' is missing"
    return f"ssh cannot take {name!r} as the name of a host: {reason}"


def is_ip(text: str) -> bool:
    """Whether this is an IP address, with or without a zone."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def address(text: str) -> Address:
    """Take `user@host:port` apart; raises `TargetError` where it is malformed."""
    user, at, rest = text.rpartition("@")
    if rest.startswith("["):
        host, _, tail = rest[1:].partition("]")
        colon, port = tail[:1], tail[1:]
    elif rest.count(":") == 1:
        host, colon, port = rest.partition(":")
    else:
        host, colon, port = rest, "", ""
    if at and not user:
        raise TargetError(f"{ascii(text)}: the user is missing")
    if colon not in ("", ":"):
        raise TargetError(f"{ascii(text)}: only a port can follow ']'")
    if colon and not is_port(port):
        raise TargetError(f"{ascii(text)}: {ascii(port)} is no port (1 to 65535)")
    return Address(user, host, port)


def is_port(text: str) -> bool:
    """Whether this is the number of a TCP port."""
    return text.isascii() and text.isdecimal() and len(text) < 7 and 0 < int(text) < 65536


def expand(pattern: str) -> list[str]:
    """The hosts that a list stands for: `n[01-20],master`, Ansible's `web[01:20]` or `db[a:c]`.

    Raises `TargetError` where it is malformed or stands for too many.
    """
    hosts: list[str] = []
    for item in nodeset.split(pattern):
        # What quotes keep as it is elsewhere is no name for ssh: it stays whole, to be refused.
        if "[" not in item and "]" not in item or "'" in item or '"' in item or _has_ipv6(item):
            hosts.append(item)
            continue
        for each in _lettered(item):
            hosts += nodeset.expand(each)
            if len(hosts) > nodeset.MOST:
                raise TargetError(f"{item}: more than {nodeset.MOST:,} names")
    return hosts


def _has_ipv6(item: str) -> bool:
    match = re.fullmatch(_SIX, item)
    try:
        return bool(match and IPv6Address(match[1]))
    except ValueError:
        return False


def _lettered(item: str) -> Iterator[str]:
    """The patterns with ranges of numbers only that an item stands for."""
    item = re.sub(_NUMBERS, lambda m: f"[{m[1] or 0}-{m[2]}{'/' + m[3] if m[3] else ''}]", item)
    from string import ascii_letters  # few lists have a range of letters

    parts: list[str] = []
    end = 0
    choices: list[str] = []
    for match in re.finditer(_LETTERS, item):
        first, last = ascii_letters.index(match[1]), ascii_letters.index(match[2])
        step = min(int(match[3] or 1), len(ascii_letters))
        if last < first or not step:
            raise TargetError(f"{match[0]}: the range runs backwards or has the step 0")
        choices.append(ascii_letters[first : last + 1 : step])
        parts.append(item[end : match.start()])
        end = match.end()
    if prod(map(len, choices)) > nodeset.MOST:
        raise TargetError(f"{item}: more than {nodeset.MOST:,} names")
    for letters in product(*choices):
        chosen = (part + letter for part, letter in zip(parts, letters, strict=True))
        yield "".join(chosen) + item[end:]
