"""What ssh says when it gives up, to the reason that people read. Pure."""

from __future__ import annotations

import re
import shlex

from dust.limits import LAST

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
    (
        "unreachable",
        r"No route to host|Network is unreachable|Host is down|Stdio forwarding request failed",
    ),
    (
        "dropped",
        r"kex_exchange_identification|Connection (?:closed|reset)|Broken pipe|banner exchange",
    ),
)
_COMPILED = [(kind, re.compile(pattern)) for kind, pattern in _REASONS]
_NOISE = re.compile(
    r"^(?:Warning: Permanently added|(?:Shared c|C)onnection to .* closed\.$|\*{3}|debug\d:"
    r"|Authenticat(?:ed|ing) |Transferred: |Bytes per second: |ControlSocket |Control socket "
    r"|mux_client_request_session: session request failed)"  # it goes on with one of its own
)

#: What a server under load does to a new connection, before any login: worth another try.
_OVERLOAD = re.compile(
    r"kex_exchange_identification|.*banner exchange|Connection (?:closed|reset) by"
)
#: What ssh prints when a connection, or a proxy, ends before it has said anything.
_AT_FIRST = ("kex_exchange_identification", "banner exchange")
#: What ssh prints only before it has logged in.
_BEFORE_LOGIN = re.compile(
    r"(?m)^(?:ssh: connect to host |ssh: Could not resolve hostname |kex_exchange_identification: "
    r"|.* banner exchange)"
)
#: What ssh prints when a live connection ends.
_LAST_WORDS = re.compile(
    rb"(?:(?:(?:Shared c|C)onnection to \S+ closed(?: by remote host)?\."
    rb"|Connection (?:closed|reset) by [^\r\n]*|Timeout, server \S+ not responding\."
    rb"|client_loop: [^\r\n]*|ssh_\w+: [^\r\n]*)\r*\n)+\Z"
)
#: What ssh prints after what is wrong with a configuration.
_BAD_CONFIGURATION = ": terminating, "
_CHANGED = re.compile(r"Offending \S+ key in ((.+):\d+)")
_OF = re.compile(r"Host key for (\S+) has changed ")
_UNKNOWN = re.compile(r"No \S+ host key is known for ")
#: What ssh prints of a key that it cannot use, before it goes on without.
_KEY = re.compile(r"Load key |sign_and_send_pubkey: |no such identity: ")


def reason(said: str) -> tuple[str, str]:
    """(kind, sentence) for what ssh said before it ended; kind "ended" where that is no error."""
    said_lines = lines(said)
    for kind, pattern in _COMPILED:
        for at, line in enumerate(said_lines):
            if pattern.search(line):
                return kind, _sentence(kind, said_lines, at)
    if said_lines and _BAD_CONFIGURATION in said_lines[-1]:
        return "ended", said_lines[0]
    return "ended", said_lines[-1] if said_lines else ""


def last_words(printed: bytes) -> bytes:
    """The end of what a live session printed that is ssh's own, if nothing follows it."""
    found = _LAST_WORDS.search(printed[-LAST:]) if printed.endswith(b"\n") else None
    return found[0] if found else b""


def lost(printed: bytes) -> tuple[str, str]:
    """(kind, sentence) for the end of what a live session printed when its ssh gave up.

    Only ssh's last words count: what stands before is output of programs.
    """
    for line in lines(last_words(printed).decode("utf-8", "replace")):
        return ("timed out" if line.startswith("Timeout") else "dropped"), line
    return "dropped", "the connection was lost"


def overloaded(said: str) -> bool:
    """Whether the server turned the connection away because it has too many at the moment.

    `said` is the sentence of `reason`.
    """
    return bool(_OVERLOAD.match(said))


def before_login(said: str) -> bool:
    """Whether what ssh said shows that it never logged in: no command can have begun."""
    return bool(_BEFORE_LOGIN.search(said))


def lines(said: str) -> list[str]:
    """What ssh said, without what it says anyway."""
    found = [line.strip() for line in said.replace("\r", "\n").split("\n")]
    return [line for line in found if line and not _NOISE.match(line)]


def _sentence(kind: str, lines: list[str], at: int) -> str:
    """What tells a person most: about a changed key, one that cannot be used, a failed proxy."""
    if "Stdio forwarding request failed" in lines[at]:
        return "its jump host cannot connect to it"
    if kind == "host key":
        for line in lines:
            if changed := _CHANGED.match(line):
                known = f"it has changed; the key known so far is in {changed[1]}"
                return known + _way_out(changed[2], lines)
            if _UNKNOWN.match(line):
                return line
        if len(lines) == 1:  # of what else there can be ssh says more
            return f"{lines[at]} (it is not known yet; plain ssh would ask)"
    if kind == "authentication":
        keys = dict.fromkeys(line for line in lines[:at] if _KEY.match(line))
        return " ".join([lines[at], *(f"({line})" for line in keys)])
    if kind == "dropped" and at and lines[at].startswith(_AT_FIRST):
        return lines[at - 1]
    return lines[at]


def _way_out(file: str, lines: list[str]) -> str:
    """The line to type if the new key is right, where ssh says whose it is."""
    name = next((found[1] for line in lines if (found := _OF.match(line))), "")
    remove = shlex.join(["ssh-keygen", "-f", file, "-R", name])
    return f" (if the new one is right: {remove})" if name else ""
