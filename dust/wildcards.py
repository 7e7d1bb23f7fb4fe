"""Paths with shell wildcards, as they are typed. Pure.

A pattern is text in which `*`, `?` and `[...]` are wildcards and `[*]`, `[?]`, `[[]` the
characters themselves.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

_SPECIAL = re.compile(r"([*?\[])")
_ITSELF = re.compile(r"\[([*?\[])\]")


def escaped(text: str) -> str:
    """The pattern that only this text matches."""
    return _SPECIAL.sub(r"[\1]", text)


def literal(pattern: str) -> str | None:
    """The one text that a pattern matches, or None if it has wildcards."""
    if _SPECIAL.search(_ITSELF.sub("", pattern)):
        return None
    return _ITSELF.sub(r"\1", pattern)


def matches(pattern: str, name: str) -> bool:
    """Whether a name (without a slash) matches. A dot at its start is matched by a dot only."""
    return (pattern.startswith(".") or not name.startswith(".")) and fnmatchcase(name, pattern)
