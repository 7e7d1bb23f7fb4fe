"""What may follow what is typed: commands, options, targets, local paths. No network."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from dust.cluster import Cluster
from dust.command import Command
from dust.expr import RUN_WORDS, SESSION_WORDS
from dust.registry import Registry

#: Words about sessions and runs that a target may hold.
STATES = sorted(f"%{word}" for word in SESSION_WORDS + RUN_WORDS)
#: What begins another atom within a target.
_OPERATORS = ",&!("
#: What a target takes for a name as it is; the rest is quoted.
_PLAIN = re.compile(r"(?!-)[\w.:/+~-]*")
_TARGETS = ("<target>", "<filter>")


def complete(text: str, registry: Registry, cluster: Cluster) -> tuple[int, list[str]]:
    """(where the word to complete starts, what it may become) for the text before the cursor."""
    start = _last_word(text)
    if text.startswith("@") and start == 0:
        return _target(text, 1, cluster)
    if text.startswith(("@", "!")):
        return _path(text, start)
    if " " not in text.lstrip():
        start = len(text) - len(text.lstrip())
        names = {*registry.commands, *_aliases(registry.commands.values())}
        return start, _matching(sorted(names), text[start:])
    name = text.split(None, 1)[0]
    command = registry.commands.get(name)
    if command is None:
        return _path(text, start)
    return _argument(text, start, command, cluster)


def _argument(text: str, start: int, command: Command, cluster: Cluster) -> tuple[int, list[str]]:
    word = text[start:]
    if word.startswith("-"):
        return start, _matching(command.options, word)
    if "<path>" in command.arguments:
        return _file_or_target(text, start, command, cluster)
    found = _matching(command.literals, word)
    if "<cluster>" in command.arguments:
        found += _matching(
            sorted({name for node in cluster.known() for name in node.clusters}), word
        )
        return (start, found) if found or "<file>" not in command.arguments else _path(text, start)
    if any(argument in _TARGETS for argument in command.arguments):
        at, targets = _target(text, start, cluster)
        return (at, targets) if not found else (start, found)
    if found:
        return start, found
    return _path(text, start)


def _file_or_target(
    text: str, start: int, command: Command, cluster: Cluster
) -> tuple[int, list[str]]:
    """For copies: what may be a file of this machine, a target, or either."""
    at, targets = _target(text, start, cluster)
    if "<target>" in command.arguments:  # it comes first
        return (at, targets) if len(text[:start].split()) == 1 else _path(text, start)
    _, paths = _path(text, start)
    if paths and at == start:
        names = [target for target in targets if not target.endswith("=") or text[start:]]
        return start, list(dict.fromkeys([*paths, *names]))
    return (start, paths) if paths else (at, targets)


def _target(text: str, start: int, cluster: Cluster) -> tuple[int, list[str]]:
    """The last atom of a target: node and cluster names, properties with their values, states."""
    start = _last_word(text, _OPERATORS, start)
    atom = text[start:]
    nodes = cluster.known()
    key, equals, value = atom.partition("=")
    if equals and key == "tags":
        tags = {f"{k}:{v}" for node in nodes for k, v in node.tags.items()}
        return start, _spelled(tags, value, "tags=")
    if equals and key.isidentifier():
        values = {node.properties().get(key, "") for node in nodes} - {""}
        return start, _spelled(values, value, f"{key}=")
    if atom.startswith("%"):
        return start, _matching(STATES, atom)
    names = {name for node in nodes for name in (node.name, *node.clusters)}
    keys = {f"{key}=" for node in nodes[:1] for key in node.properties()} | {"tags="}
    found = _spelled(names, atom)
    return start, found or _matching(sorted(keys), atom)


def _spelled(words: Iterable[str], typed: str, lead: str = "") -> list[str]:
    """What a name or value that was begun may become, in quotes where a target needs them."""
    quoted = typed[:1] in ("'", '"')
    wanted = typed[1:] if quoted else typed
    found = []
    for word in sorted(word for word in words if word.startswith(wanted)):
        quote = "" if _PLAIN.fullmatch(word) and not quoted else '"' if "'" in word else "'"
        found.append(f"{lead}{quote}{word}{quote}")
    return found


def _last_word(text: str, ends: str = " ", start: int = 0) -> int:
    """Where the last word begins that is outside quotes."""
    quote = ""
    for at in range(start, len(text)):
        if quote or text[at] in "'\"":
            quote = "" if text[at] == quote else quote or text[at]
        elif text[at] in ends:
            start = at + 1
    return start


def _path(text: str, start: int) -> tuple[int, list[str]]:
    word = text[start:]
    folder, _, name = word.rpartition("/")
    base = Path(os.path.expanduser(f"{folder}/" if "/" in word else "."))
    lead = f"{folder}/" if "/" in word else ""
    try:
        entries = sorted(base.iterdir())
    except OSError:
        return start, []
    return start, [
        f"{lead}{entry.name}{'/' if entry.is_dir() else ''}"
        for entry in entries
        if entry.name.startswith(name) and (name.startswith(".") or not entry.name.startswith("."))
    ]


def _matching(words: Iterable[str], beginning: str) -> list[str]:
    return [word for word in words if word.startswith(beginning)]


def _aliases(commands: Iterable[Command]) -> set[str]:
    return {alias for command in commands for alias in command.aliases}
