"""Patterns of names and values: shell wildcards and numeric ranges. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from itertools import groupby
from typing import NamedTuple

from dust import nodeset
from dust.errors import TargetError

#: More `*` than this are not matched by a regular expression.
_STARS = 20
#: Lists of numbers and spans that are too many to be spelled out may have this many items.
_SPANS = 100
_NUMERIC = r"[0-9,/-]+"
#: What, besides space, has to be quoted in a target to stand for itself.
SPECIAL = frozenset(",&!()'\"*?[]\\=%@")


class Part(NamedTuple):
    """A piece of a pattern. `kind`: `text`, `*`, `?`, `class` or `range`; `text`: what it holds."""

    kind: str
    text: str = ""


class Glob(NamedTuple):
    """A pattern."""

    parts: tuple[Part, ...]

    @property
    def literal(self) -> str | None:
        """The one text that it matches, or None if it is a pattern."""
        if all(part.kind == "text" for part in self.parts):
            return "".join(part.text for part in self.parts)
        return None

    @property
    def listing(self) -> bool:
        """Whether it spells out what it matches: text, and ranges of numbers."""
        return all(part.kind in ("text", "range") for part in self.parts)

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
        kinds = [part.kind for part in self.parts]
        if "range" in kinds or kinds.count("*") > _STARS:
            return _walk(self.parts)
        match = re.compile(_regex(self.parts), re.S).fullmatch
        return lambda text: match(text) is not None


def _regex(parts: tuple[Part, ...]) -> str:
    """Parts other than ranges as a regular expression that takes linear time.

    Between two `*` the first place that fits is as good as any later one, so that none is tried
    again: what a lookahead has found is settled.
    """
    stretches = [""]
    for part in parts:
        if part.kind == "*":
            stretches.append("")
        else:
            stretches[-1] += _character(part) if part.kind != "text" else re.escape(part.text)
    if len(stretches) == 1:
        return stretches[0]
    first, *between, last = stretches
    settled = (f"(?=(?P<s{at}>.*?{each}))(?P=s{at})" for at, each in enumerate(between))
    return f"{first}{''.join(settled)}.*{last}"


def _walk(parts: tuple[Part, ...]) -> Callable[[str], bool]:
    """A matcher that follows all places in a text where a part may end, at once.

    Ranges need it: a number may end after `1` or after `10`.
    """
    steps = [_step(part) for part in parts]
    head = parts[0].text if parts[0].kind == "text" else ""
    shortest = sum(len(part.text) if part.kind == "text" else part.kind != "*" for part in parts)

    def matches(text: str) -> bool:
        if len(text) < shortest or not text.startswith(head):
            return False
        places = {0}
        for step in steps:
            places = step(text, places)
            if not places:
                return False
        return len(text) in places

    return matches


def _step(part: Part) -> Callable[[str, set[int]], set[int]]:
    """From the places where a part may start to those where it may end."""
    if part.kind == "*":
        return lambda text, places: set(range(min(places), len(text) + 1))
    if part.kind == "text":
        size = len(part.text)
        return lambda text, places: {at + size for at in places if text.startswith(part.text, at)}
    if part.kind == "range":
        lengths, holds = _numbers(part.text)
        return lambda text, places: {
            at + length
            for at in places
            for length in lengths
            if at + length <= len(text) and holds(text[at : at + length])
        }
    match = re.compile(_character(part), re.S).match
    return lambda text, places: {at + 1 for at in places if match(text, at)}


def _numbers(content: str) -> tuple[Collection[int], Callable[[str], bool]]:
    """How long the numbers of a range are, and whether digits are one of them."""
    spans = nodeset.numbers(content)
    if nodeset.count(spans) <= nodeset.MOST:
        spelled = frozenset(nodeset.spelled(spans))
        return sorted({len(digits) for digits in spelled}), spelled.__contains__
    if len(spans) > _SPANS:
        raise TargetError(f"[{content}]: too many numbers")

    def holds(digits: str) -> bool:
        return (
            digits.isascii()
            and digits.isdigit()
            and any(
                int(digits) in span and f"{int(digits):0{width}}" == digits for span, width in spans
            )
        )

    return range(1, nodeset.LONGEST + 1), holds


def _character(part: Part) -> str:
    return "." if part.kind == "?" else _class(part.text)


def bracket(content: str) -> Part:
    """The piece that brackets with this content are: numbers or characters."""
    if re.fullmatch(_NUMERIC, content):
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
    if not text:
        return "''"
    if SPECIAL.isdisjoint(text) and not any(char.isspace() for char in text):
        return text
    pieces = [f"'{piece}'" if piece else "" for piece in text.split("'")]
    return '"\'"'.join(pieces)


def parts(pieces: Iterable[Part]) -> tuple[Part, ...]:
    """Pieces in normal form: text that stands together is one, empty text and `**` are left out."""
    normal: list[Part] = []
    solid = (piece for piece in pieces if piece != Part("text"))
    for kind, alike in groupby(solid, lambda piece: piece.kind):
        if kind == "text":
            normal.append(Part("text", "".join(piece.text for piece in alike)))
        else:
            normal += [Part("*")] if kind == "*" else alike
    return tuple(normal)
