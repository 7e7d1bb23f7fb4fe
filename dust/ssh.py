"""Node and login to the argv of the system's ssh. Pure.

The one place that decides an ssh call. Facts of a node (`Node.ssh`) and what a session cannot do
without go on the command line, which beats every configuration. What Dust merely prefers goes to
the end of a configuration file that first includes the user's and the system's own: in ssh the
first value wins, so it holds only where neither says anything.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dust.errors import BackendError, SessionError
from dust.node import Node

#: Preferred where nothing else is configured: a silent network is noticed within 20 s.
DEFAULTS: Mapping[str, str] = {
    "ConnectTimeout": "15",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
}
#: For a call that is no session: its own messages are read only where it fails.
ONE_SHOT: Mapping[str, str] = {**DEFAULTS, "LogLevel": "ERROR"}

# RemoteCommand and forwardings of the user's would clash with the session's own command and with
# each other on many nodes.
_NEEDED = ("-e", "none", "-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes")

#: Against what keeps a command from being run, awaited or given input, where a configuration has
#: it. Older versions of ssh than 8.7 have no words for it, and need none.
ATTENDED = ("-o", "SessionType=default", "-o", "ForkAfterAuthentication=no", "-o", "StdinNull=no")
#: The words, as `mentions` has them.
UNATTENDED = frozenset({"sessiontype", "forkafterauthentication", "stdinnull"})

#: What ssh can take as the name of a host: neither it nor what follows its login may begin like an
#: option, or be missing.
NAME = r"(?!-)(?!.*@(?:-|\Z))(?!@)[A-Za-z0-9_.:%@\[\]-]+"
# Where the name is not looked up, what could be read as a login has no place in it.
_PLAIN = r"(?!-)[A-Za-z0-9_.-]+"
_GLOB = r"([*?\[])"

# One host of a ProxyJump: what is not written like this is left to ssh alone.
_HOP = r"(?![-@])[A-Za-z0-9_.:@\[\]-]+"

# A socket's path may have so many bytes; ssh adds 17 while it binds one, and makes 40 of %C.
_LONGEST_SOCKET = (107 if sys.platform == "linux" else 103) - 17


def socket(folder: Path, prefix: str) -> str:
    """The ControlPath of sockets in that folder, or "" where it is too long for any."""
    path = f"{folder}/{prefix}"
    return quoted(path, tokens=True)[:-1] + '%C"' if fits(path + 40 * "C") else ""


def fits(path: str) -> bool:
    """Whether a socket may have this path."""
    return len(os.fsencode(path)) <= _LONGEST_SOCKET


def shared(folder: Path, seconds: int) -> dict[str, str]:
    """Defaults that keep a connection open for later calls, so long after the last of them.

    Their sockets are in the folder; nothing is kept where its path is too long for that.
    """
    path = socket(folder, "") if seconds else ""
    if not path:
        return {}
    return {"ControlMaster": "auto", "ControlPath": path, "ControlPersist": str(seconds)}


def config(include: Sequence[Path], defaults: Mapping[str, str]) -> str:
    """An ssh_config in which `defaults` hold where no file of `include` says anything."""
    lines = [f"Include {_included(path)}" for path in include]
    lines.append("Match all")
    lines += [f"    {key} {value}" for key, value in defaults.items()]
    return "\n".join(lines) + "\n"


def host(node: Node) -> str:
    """What ssh is told to connect to, and what `Host` blocks match: the name of the node.

    A node whose address is known may have a name that ssh cannot take: it then goes by its id. So
    does a host of a file without an address, whatever it was called since. Raises SessionError
    where ssh can take neither.
    """
    if (
        "HostName" in node.ssh
        and not re.fullmatch(_PLAIN, node.name)
        and re.fullmatch(_PLAIN, node.id)
    ):
        return node.id
    name = node.id if node.of_file and "HostName" not in node.ssh else node.name
    if not re.fullmatch(NAME, name):
        raise SessionError(ascii(name), "ssh cannot take this as the name of a host")
    return name


def argv(
    node: Node,
    config: Path,
    command: str,
    *,
    tty: bool = True,
    subsystem: bool = False,
    options: Sequence[str] = (),
) -> list[str]:
    """The call that runs `command` (for the login shell) on a node, with a terminal if `tty`.

    As a `subsystem` the command is the name of one, such as `sftp`, and there is no terminal.
    `options` are what the user asked for on the command line; they win over the node's facts.

    The facts of a node are values as ssh_config has them: one with a space in it that is not
    meant as several words stands in double quotes.
    """
    alias = host(node)
    facts = [word for fact in _checked(node, node.ssh) for word in ("-o", "=".join(fact))]
    mode = ["-T", "-s"] if subsystem else ["-tt"] if tty else ["-T"]
    return ["ssh", "-F", str(config), *mode, *_NEEDED, *options, *facts, "--", alias, command]


def joining(argv: Sequence[str]) -> list[str]:
    """The call as one that goes through a connection that is open, and offers none to others."""
    return [argv[0], "-o", "ControlMaster=no", *argv[1:]]


def inquiry(argv: Sequence[str]) -> list[str]:
    """The call that says by its status whether the connection is there that a call goes through."""
    at = argv.index("--")
    return [*argv[:at], "-O", "check", *argv[at : at + 2]]


def question(argv: Sequence[str]) -> list[str]:
    """The call that prints what configuration a call has, instead of making it."""
    at = argv.index("--")
    return [*argv[:at], "-G", *argv[at:]]


def jump(
    config: Path, hops: str, path: str, seconds: int = 0, options: Sequence[str] = ()
) -> list[str]:
    """The call that opens a connection to the last host of a ProxyJump, to be shared by others.

    Its socket will be `path`. With `seconds` it stays for so long after the last who used it, and
    the call ends when it is open; otherwise it lasts as long as the call. Raises SessionError for
    hosts that are no plain names.
    """
    sharing = (
        "ControlMaster=auto",
        f"ControlPath={quoted(path, tokens=True)}",
        f"ControlPersist={seconds or 'no'}",
    )
    given = (*_NEEDED[2:], *(word for each in sharing for word in ("-o", each)), *options)
    return ["ssh", "-F", str(config), "-T", "-N", *given, *_hops(hops)]


def through(path: str, hops: str, log: str = "") -> list[str]:
    """Options by which a call goes through such a connection, and never past it.

    They stand for the command that ssh would make of the ProxyJump by itself. Its messages go
    into a file, if one is given.
    """
    words = ["-F", "none", "-S", path.replace("%", "%%"), "-o", "ProxyCommand=false"]
    return _relayed([*words, *(("-E", log) if log else ()), "--", _hops(hops)[-1]])


def past(config: Path, hops: str) -> list[str]:
    """Options by which a call reaches the last host as that configuration says, and goes on."""
    return _relayed(["-F", str(config), *_hops(hops)])


def _relayed(words: Sequence[str]) -> list[str]:
    from shlex import quote  # few nodes are behind a jump host

    call = " ".join(quote(word).replace("%", "%%") for word in words)
    return ["-o", f"ProxyCommand=ssh -W '[%h]:%p' {call}"]


def _hops(hops: str) -> list[str]:
    """The words for the last host of a ProxyJump, and for the way there."""
    *before, last = hops.split(",")
    if not all(re.fullmatch(_HOP, hop) for hop in (*before, last)):
        raise SessionError(ascii(hops), "this ProxyJump cannot be shared")
    return [*(("-J", ",".join(before)) if before else ()), "--", f"ssh://{last}"]


def block(node: Node, facts: Mapping[str, str], *, by_name: bool) -> str:
    """A Host block with these keywords, for the name of a node and for its id.

    Not `by_name`, it is for the id alone. Raises SessionError where ssh can take neither.
    """
    names = [host(node)] if by_name else []
    if re.fullmatch(_PLAIN, node.id) and node.id not in names:
        names.append(node.id)
    if not names:
        raise SessionError(node.name, f"ssh cannot take its id: {ascii(node.id)}")
    lines = [f"    {key} {value}" for key, value in _checked(node, facts)]
    return "\n".join([f"Host {' '.join(names)}", *lines])


def _checked(node: Node, facts: Mapping[str, str]) -> list[tuple[str, str]]:
    for key, value in facts.items():
        if "\n" in value or "\0" in value:
            raise SessionError(node.name, f"ssh cannot take this {key}: {value!r}")
    return list(facts.items())


def quoted(word: str, tokens: bool = False) -> str:
    """Return a word as ssh_config and sshd_config take it; raises `BackendError` if none can.

    `tokens` says that the keyword gives `%h` and the like a meaning.
    """
    if re.search(r'["\\\x00-\x1f\x7f]|\$\{', word):
        raise BackendError(f"ssh cannot take this path: {word!r}")
    return f'"{word.replace("%", "%%") if tokens else word}"'


def _included(path: Path) -> str:
    """A path as Include reads it: one word, whole, without wildcards."""
    text = os.path.abspath(path)
    if re.search(r'["\\\n\0]', text):
        raise SessionError("ssh", f"ssh cannot include a file of this name: {text!r}")
    return '"' + re.sub(_GLOB, r"\\\1", text) + '"'
