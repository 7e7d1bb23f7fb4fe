"""Which keywords ssh's configuration may have: looked for in its text, which only ssh understands.

So that most calls need not ask it what holds for each node.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

#: What is looked for, in small letters.
KEYWORDS = frozenset(
    {"proxyjump", "controlpath", "sessiontype", "forkafterauthentication", "stdinnull"}
)
_LINE = rf"(?im)^[ \t]*(?:({'|'.join(sorted(KEYWORDS))})\b|include[ \t=]+(.*))"
_WORD = r'"([^"]*)"|([^\s"]+)'
#: How deep files are followed that include one another, as ssh does.
_DEEPEST = 16


def mentioned(files: Iterable[str]) -> frozenset[str]:
    """Those of the KEYWORDS that stand in the files or in what these include; all if in doubt."""
    found: set[str] = set()
    for file in files:
        _look(file, 0, found)
    return frozenset(found)


def _look(file: str, depth: int, found: set[str]) -> None:
    if found >= KEYWORDS:  # also what files that include one another end with
        return
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            text = opened.read()
    except OSError:  # ssh will say so
        return
    for line in re.finditer(_LINE, text):
        if line[1]:
            found.add(line[1].lower())
        elif depth > _DEEPEST or "${" in line[2]:
            found |= KEYWORDS
        else:
            for included in _included(line[2]):
                _look(included, depth + 1, found)


def _included(patterns: str) -> Iterable[str]:
    from glob import iglob  # few files include others

    for words in re.findall(_WORD, patterns):
        plain = os.path.expanduser("".join(words)).replace("\\", "")
        yield from iglob(os.path.join(os.path.expanduser("~/.ssh"), plain))
