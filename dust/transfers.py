"""What a copy is asked for: names of this machine and of nodes, checked before anything runs."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence

from dust import archive, messages, wildcards
from dust.errors import SessionError, UsageError
from dust.filenames import safe_name
from dust.lines import unquote
from dust.node import Node

_QUOTED = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*"|\\.""", re.S)


def local_names(files: Iterable[str]) -> list[str]:
    """Paths of this machine, as the worker takes them. Raises `UsageError`.

    Two that would have the same name there are refused.
    """
    _check_several(files)
    names: dict[str, str] = {}
    found: list[str] = []
    for path in files:
        if "\0" in path or not os.path.lexists(path):
            raise UsageError(f"{path!r}: there is no such file here")
        name = os.path.basename(path.rstrip("/"))
        if name in names and names[name] != path and name not in ("", ".", ".."):
            raise UsageError(f"{names[name]} and {path} would both be {name} there")
        names[name] = path
        found.append(_octets(path))
    if not found:
        raise UsageError("there is nothing to copy")
    return list(dict.fromkeys(found))


def remote_directory(directory: str) -> str:
    """A directory of a node, as the worker takes it: `~` is the login directory."""
    return _octets(_at_login(directory))


def remote_patterns(patterns: Iterable[str]) -> list[str]:
    """Patterns of a node's paths, as the worker takes them."""
    _check_several(patterns)
    return [_octets(_at_login(pattern) or ".") for pattern in patterns]


def _check_several(names: Iterable[str]) -> None:
    """Raise TypeError for one name in place of several: `/` would be the first of its letters."""
    if isinstance(names, str):
        raise TypeError(f"the files are given as a list: [{names!r}]")


def folders(nodes: Sequence[Node], directory: str, label: Callable[[Node], str]) -> dict[str, str]:
    """The directory of each node here, by its id: its name, as far as a file can have it."""
    return {node.id: _octets(os.path.join(directory, safe_name(label(node)))) for node in nodes}


def order(
    node: Node,
    argv: Callable[[str, bool], list[str]],
    put: bool,
    names: list[str],
    where: str,
    folder: str,
    timeout: float,
    askpass: list[str],
) -> messages.Copy:
    """What the worker of a node is told. Raises `SessionError` where there is no ssh.

    `argv` makes the ssh call for a command, or for a subsystem; the rest is as in messages.Copy.
    """
    calls = argv("sftp", True), argv(archive.command(put), False)
    program = calls[0][0]
    path = shutil.which(program)
    if path is None:
        raise SessionError(node.name, f"there is no {program} on this machine's PATH")
    sftp, shell = ([path, *arguments] for _, *arguments in calls)
    return messages.Copy(sftp, shell, put, names, where, _octets(folder), timeout, askpass)


def _at_login(path: str) -> str:
    if "\0" in path:
        raise UsageError(f"{path!r}: no path has this name")
    if path == "~" or path.startswith("~/"):
        return path[2:].lstrip("/")
    if path.startswith("~"):
        raise UsageError(f"{path}: write the whole path (or ./{path}), `~` alone is understood")
    return path


def typed(word: str) -> str:
    """The pattern of a word as typed: what is quoted in it stands for itself.

    Raises `UsageError` on an open quote.
    """
    pattern, at = "", 0
    for quoted in _QUOTED.finditer(word):
        pattern += unquote(word[at : quoted.start()]) + wildcards.escaped(unquote(quoted[0]))
        at = quoted.end()
    return pattern + unquote(word[at:])


def chosen(word: str) -> list[str]:
    """The paths of this machine that a word as typed stands for; [] where there are none."""
    from glob import glob  # most lines need none

    pattern = typed(word)
    if word.startswith("~"):
        head, slash, rest = pattern.partition("/")
        pattern = wildcards.escaped(os.path.expanduser(head)) + slash + rest
    literal = wildcards.literal(pattern)
    if literal is None:
        return sorted(glob(pattern))
    return [literal] if os.path.lexists(literal) else []


def _octets(text: str) -> str:
    """The octets of a name, each as a character."""
    return os.fsencode(text).decode("latin-1")
