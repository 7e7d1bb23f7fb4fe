"""What ssh says when it gives up, to the reason that people read. Pure."""

from __future__ import annotations

import re

#: Why there is no session: the word that people read, and what ssh says.
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
    r"kex_exchange_identification|.*banner exchange|Connection (?:closed|reset) by"
)
_CHANGED = re.compile(r"Offending \S+ key in (.+)")
_UNKNOWN = re.compile(r"No \S+ host key is known for ")
#: How a live connection ends, in ssh's own words.
_ENDS = (
    ("timed out", re.compile(r"Timeout, server \S+ not responding")),
    ("dropped", re.compile(r"client_loop: |Connection (?:to \S+ )?(?:closed|reset) by |ssh_\w+: ")),
)


def reason(said: str) -> tuple[str, str]:
    """(kind, sentence) for what ssh said before it ended; kind "ended" where that is no error."""
    lines = _lines(said)
    for kind, pattern in _COMPILED:
        for at, line in enumerate(lines):
            if pattern.search(line):
                return kind, _sentence(kind, lines, at)
    return "ended", lines[-1] if lines else ""


def lost(said: str) -> tuple[str, str]:
    """(kind, sentence) for the end of what a live session printed when its ssh gave up.

    Only ssh's own last words count: what stands before is output of programs.
    """
    for line in _lines(said)[-1:]:
        for kind, pattern in _ENDS:
            if pattern.match(line):
                return kind, line
    return "dropped", "the connection was lost"


def overloaded(said: str) -> bool:
    """Whether the server turned the connection away because it has too many at the moment.

    `said` is the sentence of `reason`.
    """
    return bool(_OVERLOAD.match(said))


def _lines(said: str) -> list[str]:
    lines = [line.strip() for line in said.replace("\r", "\n").split("\n")]
    return [line for line in lines if line and not _NOISE.match(line)]


def _sentence(kind: str, lines: list[str], at: int) -> str:
    """The line that tells a person most: about a changed key, or a proxy that failed."""
    if kind == "host key":
        for line in lines:
            if changed := _CHANGED.match(line):
                return f"it has changed; the key known so far is in {changed[1]}"
            if _UNKNOWN.match(line):
                return line
    if kind == "dropped" and at and lines[at].startswith("kex_exchange_identification"):
        return lines[at - 1]
    return lines[at]
