"""Patterns of names and values: shell wildcards and numeric ranges. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from dust import nodeset
from dust.errors import TargetError

#: A range of more numbers than this is not spelled out to be matched.
_SPELLED = 4096
_NUMERIC = re.compile(r"[0-9,/-]+")
#: What has to be quoted in a target to stand for itself.
SPECIAL = frozenset(" \t\n,&!()'\"*?[]\\=%@")


@dataclass(frozen=True)
class Part:
    """A piece of a pattern. `kind`: `text`, `*`, `?`, `class` or `range`; `text`: what it holds."""

    kind: str
    text: str = ""


@dataclass(frozen=True)
class Glob:
    """A pattern."""

    parts: tuple[Part, ...]

    @property
    def literal(self) -> str | None:
        """The one text that it matches, or None if it is a pattern."""
        if all(part.kind == "text" for part in self.parts):
            return "".join(part.text for part in self.parts)
        return None

    @property
    def plain(self) -> str:
        """The pattern without quotes, for messages and for finding names that are near."""
        return "".join(
            part.text if part.kind == "text" else f"[{part.text}]" if part.text else part.kind
            for part in self.parts
        )

    def __str__(self) -> str:
        """The pattern as it would be typed."""
        return (
            "".join(
                quoted(part.text)
                if part.kind == "text"
                else f"[{part.text}]"
                if part.kind in ("class", "range")
                else part.kind
                for part in self.parts
            )
            or "''"
        )

    def matcher(self) -> Callable[[str], bool]:
        """A function that says whether a text matches. Raises TargetError on a bad range."""
        literal = self.literal
        if literal is not None:
            return literal.__eq__
        checks: list[list[tuple[range, int]]] = []
        pattern = "".join(self._regex(part, checks) for part in self.parts)
        match = re.compile(pattern, re.S).fullmatch
        if not checks:
            return lambda text: match(text) is not None

        def matches(text: str) -> bool:
            found = match(text)
            return found is not None and all(
                any(int(digits) in span and f"{int(digits):0{width}}" == digits
                    for span, width in spans)
                for digits, spans in zip(found.groups(), checks, strict=True)
            )  # fmt: skip

        return matches

    @staticmethod
    def _regex(part: Part, checks: list[list[tuple[range, int]]]) -> str:
        if part.kind == "text":
            return re.escape(part.text)
        if part.kind == "*":
            return ".*"
        if part.kind == "?":
            return "."
        if part.kind == "class":
            return _class(part.text)
        spans = nodeset.numbers(part.text)
        if nodeset.count(spans) <= _SPELLED:
            return "(?:" + "|".join(dict.fromkeys(nodeset.spelled(spans))) + ")"
        checks.append(spans)
        return "([0-9]{1,12})"


def bracket(content: str) -> Part:
    """The piece that brackets with this content are: numbers or characters."""
    if _NUMERIC.fullmatch(content):
        nodeset.numbers(content)
        return Part("range", content)
    return Part("class", content)


def _class(content: str) -> str:
    """A shell's character class as a regular expression's."""
    negated = content[0] in "!^"
    chars = content[1:] if negated else content
    items, at = [], 0
    while at < len(chars):
        if at + 2 < len(chars) and chars[at + 1] == "-":
            if chars[at] <= chars[at + 2]:
                items.append(f"{re.escape(chars[at])}-{re.escape(chars[at + 2])}")
            at += 3
        else:
            items.append(re.escape(chars[at]))
            at += 1
    if not items:
        return "." if negated else "(?!)"
    return f"[{'^' if negated else ''}{''.join(items)}]"


def quoted(text: str) -> str:
    """A text as it is typed to stand for itself."""
    if text and SPECIAL.isdisjoint(text):
        return text
    pieces = [f"'{piece}'" if piece else "" for piece in text.split("'")]
    return '"\'"'.join(pieces) if text else "''"


def parts(pieces: list[Part]) -> tuple[Part, ...]:
    """Pieces in normal form: text that stands together is one, empty text and `**` are left out."""
    normal: list[Part] = []
    for piece in pieces:
        if piece.kind == "text" and not piece.text:
            continue
        if normal and normal[-1].kind == piece.kind == "text":
            normal[-1] = Part("text", normal[-1].text + piece.text)
        elif not (normal and normal[-1].kind == piece.kind == "*"):
            normal.append(piece)
    return tuple(normal)


__all__ = ["SPECIAL", "Glob", "Part", "TargetError", "bracket", "parts", "quoted"]
