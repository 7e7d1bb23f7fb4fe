"""Node and login to the argv of the system's ssh. Pure.

The one place that decides an ssh call. Facts of a node (`Node.ssh`) and what a session cannot do
without go on the command line, which beats every configuration. What Dust merely prefers goes to
the end of a configuration file that first includes the user's and the system's own: in ssh the
first value wins, so it holds only where neither says anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dust.errors import SessionError
from dust.node import Node

#: Preferred where nothing else is configured: a silent network is noticed within 20 s.
DEFAULTS: Mapping[str, str] = {
    "ConnectTimeout": "15",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "LogLevel": "ERROR",
}

# RemoteCommand and forwardings of the user's would clash with the session's own command and with
# each other on many nodes.
_NEEDED = ("-e", "none", "-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes")

_NAME = re.compile(r"[A-Za-z0-9_.:%@\[\]][A-Za-z0-9_.:%@\[\]-]*")


def config(include: Sequence[Path], defaults: Mapping[str, str]) -> str:
    """An ssh_config in which `defaults` hold where no file of `include` says anything."""
    lines = [f"Include {_quoted(path)}" for path in include]
    lines.append("Match all")
    lines += [f"    {key} {value}" for key, value in defaults.items()]
    return "\n".join(lines) + "\n"


def argv(node: Node, config: Path, command: str, *, tty: bool = True) -> list[str]:
    """The call that runs `command` (for the login shell) on a node, with a terminal if `tty`."""
    if not _NAME.fullmatch(node.name):
        raise SessionError(ascii(node.name), "ssh cannot take this as the name of a host")
    options: list[str] = []
    for key, value in node.ssh.items():
        options += ["-o", f"{key}={_quoted(value) if ' ' in value else value}"]
    mode = "-tt" if tty else "-T"
    return ["ssh", "-F", str(config), mode, *_NEEDED, *options, "--", node.name, command]


def _quoted(value: Path | str) -> str:
    """A value as ssh_config reads it whole. It has no way to hold a double quote or a newline."""
    text = str(value)
    if '"' in text or "\n" in text:
        raise SessionError("ssh", f"ssh cannot read a path with quotes or newlines: {text!r}")
    return f'"{text}"'
