"""What ssh says when it gives up, to the reason that people read. Pure."""

from __future__ import annotations

import re

#: Why a session is over: what ssh said, and the word that people read.
_REASONS: tuple[tuple[str, str], ...] = (
    ("host key", r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED"),
    ("name resolution", r"Could not resolve hostname"),
    ("refused", r"Connection refused"),
    ("timed out", r"timed out|Timeout, server|not responding"),
    (
        "authentication",
        r"Permission denied|Too many authentication failures|No more authentication",
    ),
    ("unreachable", r"No route to host|Network is unreachable|Host is down"),
    (
        "dropped",
        r"kex_exchange_identification|Connection (?:closed|reset)|Broken pipe|banner exchange",
    ),
)
_COMPILED = [(kind, re.compile(pattern)) for kind, pattern in _REASONS]
_NOISE = re.compile(r"^(?:Warning: Permanently added|Connection to .* closed\.$|\*{3}|debug\d:)")

#: What a server under load does to a new connection, before any login: worth another try.
_OVERLOAD = re.compile(
    r"kex_exchange_identification|banner exchange|Connection (?:closed|reset) by"
)


def reason(said: str) -> tuple[str, str]:
    """(kind, sentence) for what ssh said before it ended; kind "ended" where that is no error."""
    lines = [line.strip() for line in said.replace("\r", "\n").split("\n")]
    lines = [line for line in lines if line and not _NOISE.match(line)]
    for kind, pattern in _COMPILED:
        for line in lines:
            if pattern.search(line):
                return kind, line
    return "ended", lines[-1] if lines else ""


def overloaded(said: str) -> bool:
    """Whether the server turned the connection away because it has too many at the moment."""
    return bool(_OVERLOAD.search(said))
