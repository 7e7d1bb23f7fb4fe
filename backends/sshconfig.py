"""The hosts that ssh's configuration files name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from dust.backends.hostnames import refusal
from dust.errors import ConfigError

#: ssh's own files, and where each looks for what it includes by a relative path.
USER, USER_FOLDER = Path("~/.ssh/config"), Path("~/.ssh")
SYSTEM, SYSTEM_FOLDER = Path("/etc/ssh/ssh_config"), Path("/etc/ssh")

# As deep as ssh itself follows files that include files.
_DEEPEST = 16
_KEYWORDS = frozenset({"host", "match", "include", "hostname"})
_LINE = re.compile(r"[ \t\f\r]*([A-Za-z0-9]+)(?:[ \t\f]*=|[ \t\f])[ \t\f]*(.*)")


def own_hosts() -> dict[str, str]:
    """The HostName ("" for none) of each host in the user's and the system's configuration."""
    found: dict[str, str] = {}
    for path, folder in (USER, USER_FOLDER), (SYSTEM, SYSTEM_FOLDER):
        if path.expanduser().exists():
            for name, host in _hosts(path.expanduser(), folder.expanduser()).items():
                found[name] = found.get(name) or host
    return found


def hosts(path: Path) -> dict[str, str]:
    """The HostName ("" for none) of each host in one file, read as `ssh -F` reads it.

    Raises `ConfigError` for a file that cannot be read and a name that ssh cannot take.
    """
    return _hosts(path, USER_FOLDER.expanduser())


def words(text: str) -> list[str]:
    """The words of a line's arguments, as ssh splits them; raises `ValueError` for a lone quote."""
    found: list[str] = []
    at = 0
    while at < len(text):
        if text[at] in " \t\f\r":
            at += 1
        elif text[at] == "#":
            break
        else:
            word, at = _word(text, at)
            found.append(word)
    return found


def _word(text: str, at: int) -> tuple[str, int]:
    """The word that begins at an offset, and where it ends."""
    chars: list[str] = []
    quote = ""
    while at < len(text) and (quote or text[at] not in " \t\f\r"):
        char, following = text[at], text[at + 1 : at + 2]
        escapable = "'\"\\" if quote else "'\"\\ "
        if char == "\\" and following and following in escapable:
            chars.append(following)
            at += 1
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        else:
            chars.append(char)
        at += 1
    if quote:
        raise ValueError(f"the quote {quote} has no partner")
    return "".join(chars), at


def _hosts(path: Path, folder: Path) -> dict[str, str]:
    reader = _Reader(folder)
    reader.read(_File(path))
    return reader.found


class _File(NamedTuple):
    """A file and the Host blocks that include it: where these do not match it says nothing."""

    path: Path
    blocks: tuple[Sequence[str], ...] = ()
    depth: int = 0

    def reaches(self, name: str) -> bool:
        return all(_matches(name, block) for block in self.blocks)


class _Reader:
    """Collects what files say; the first HostName of a host wins, as in ssh."""

    def __init__(self, folder: Path) -> None:
        """`folder` is where relative paths of Include begin."""
        self._folder = folder
        self.found: dict[str, str] = {}

    def read(self, file: _File, names: Sequence[str] = ()) -> None:
        """Read a file; what it says before its first block is about the hosts `names`."""
        block: list[str] = []
        for line, keyword, arguments in _lines(file.path):
            if keyword == "host":
                block = arguments
                names = [name for name in _names(file, line, arguments) if file.reaches(name)]
                for name in names:
                    self.found.setdefault(name, "")
            elif keyword == "match":
                block, names = [], []
            elif keyword == "hostname":
                for name in names:
                    self.found[name] = self.found[name] or "".join(arguments[:1])
            else:
                blocks = (*file.blocks, block) if block else file.blocks
                for path in self._included(arguments):
                    if file.depth == _DEEPEST:
                        text = f"more than {_DEEPEST} files include one another"
                        raise ConfigError(text, file.path, line)
                    self.read(_File(path, blocks, file.depth + 1), names)

    def _included(self, patterns: Sequence[str]) -> Iterator[Path]:
        """The files that Include means; one that does not exist is none."""
        import glob  # few files include others

        for pattern in patterns:
            # What a backslash does for glob(3), brackets do for Python's glob.
            plain = re.sub(r"\\(.)", r"[\1]", os.path.expanduser(pattern))
            for path in sorted(glob.glob(os.path.join(glob.escape(str(self._folder)), plain))):
                if not os.path.isdir(path):
                    yield Path(path)


def _lines(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """The number, keyword and arguments of each line that says something about hosts."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path) from None
    for number, line in enumerate(text.split("\n"), 1):
        match = _LINE.fullmatch(line)
        if match and match[1].lower() in _KEYWORDS:
            try:
                yield number, match[1].lower(), words(match[2])
            except ValueError as error:
                raise ConfigError(str(error), path, number) from None


def _names(file: _File, line: int, patterns: Sequence[str]) -> Iterator[str]:
    """The names among the patterns of a block."""
    for pattern in patterns:
        if pattern.startswith("!") or "*" in pattern or "?" in pattern:
            continue
        if why := refusal(pattern):
            raise ConfigError(why, file.path, line)
        yield pattern


def _matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a block with these patterns is about a host."""
    hits = [pattern for pattern in patterns if _like(pattern.removeprefix("!")).fullmatch(name)]
    return bool(hits) and not any(pattern.startswith("!") for pattern in hits)


@cache
def _like(pattern: str) -> re.Pattern[str]:
    """A pattern of ssh's, whose only wildcards are `*` and `?`."""
    parts = ({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return re.compile("".join(parts))
