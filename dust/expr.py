"""The grammar of targets: text to expressions and back. Pure.

    worker1  w*  worker[1-5]  w[ab]?       names
    slurm1                                 a cluster, where no node has that name
    1,3  2-5                               numbers of `show`'s first column
    state=stop*  ip=54.12.*  type=t2.*     properties
    tags=env:dev  tags=env:*  tags=env     tags: key and value, or a key alone
    %ready %busy %waiting %down            what sessions do
    %ok %failed %timeout %unreachable %differs %last     what the last run did
    @rack1  @slurm:compute                 node groups of ClusterShell
    A,B  A&B  A!B  !B  ( )                 union, intersection, without, all but

`&` and `!` bind tighter than `,`; all group from the left; `!B` stands alone or in parentheses.
Quotes keep any character from meaning something; a backslash before a wildcard is ignored, as
people escape them by habit.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from dust.errors import TargetError
from dust.glob import Glob, Part, bracket, parts
from dust.near import near
from dust.node import ALIASES

#: What sessions do, and what the last run did.
SESSION_WORDS = ("ready", "busy", "waiting", "down")
RUN_WORDS = ("ok", "failed", "timeout", "unreachable", "differs", "last")
#: Parentheses within each other, atoms in all and ranges in one atom, at the most.
_DEEPEST, _LARGEST, _RANGES = 50, 10_000, 10
_KEY = r"[A-Za-z_][A-Za-z0-9_.-]*"
_NUMBER = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.A)
_TEXT = re.compile(r"[^\s,&!()'\"*?\[\\=]+")
_UNFIT = r"[\s'\"]"
_GROUP = r"@[A-Za-z0-9_.-]+(?::[A-Za-z0-9_.-]+)?"


class Name(NamedTuple):
    """Nodes by name, or a cluster by its name."""

    glob: Glob

    def __str__(self) -> str:
        text = str(self.glob)
        return f"'{text}'" if _NUMBER.fullmatch(text) else text


class Numbers(NamedTuple):
    """Nodes by their numbers, from `first` to `last`."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


class Property(NamedTuple):
    """Nodes by a property, or by a tag where `key` is `tags`."""

    key: str
    glob: Glob

    def __str__(self) -> str:
        return f"{self.key}={self.glob}"


class Word(NamedTuple):
    """Nodes by what their session does or what the last run did there."""

    word: str

    def __str__(self) -> str:
        return f"%{self.word}"


class Group(NamedTuple):
    """Nodes of a node group."""

    name: str

    def __str__(self) -> str:
        return f"@{self.name}"


class All(NamedTuple):
    """Every node."""

    def __str__(self) -> str:
        return "*"


class Pair(NamedTuple):
    """Two targets and `,` (either), `&` (both) or `!` (the left without the right)."""

    operator: str
    left: Expr
    right: Expr


Expr = Name | Numbers | Property | Word | Group | All | Pair


def split_target(text: str) -> tuple[str, str]:
    """(the target, the rest of the line): a target ends at the first space outside quotes.

    Raises TargetError on a quote without its partner.
    """
    at = 0
    while at < len(text) and not text[at].isspace():
        at = _after_quote(text, at) if text[at] in "'\"" else at + 1
    return text[:at], text[at + 1 :]


def parse(text: str) -> Expr:
    """Read a target. Raises TargetError with the position of what is malformed."""
    start = len(text) - len(text.lstrip())
    stripped = text.strip()
    if not stripped:
        return All()
    return _Parser(text, start, start + len(stripped)).whole()


def format(expr: Expr) -> str:
    """The target as it would be typed: `parse` reads the same."""
    if not isinstance(expr, Pair):
        return str(expr)
    texts: list[str] = []
    while isinstance(expr, Pair):  # unions of many names are deep on the left
        right = format(expr.right)
        tight = expr.operator != ","
        if isinstance(expr.right, Pair) and (tight or expr.right.operator == ","):
            right = f"({right})"
        texts.append(expr.operator + right)
        left = expr.left
        if tight and isinstance(left, Pair) and left.operator == ",":
            return f"({format(left)})" + "".join(reversed(texts))
        expr = left
    return str(expr) + "".join(reversed(texts))


def _after_quote(text: str, at: int) -> int:
    end = text.find(text[at], at + 1)
    if end < 0:
        raise TargetError(f"{text}: the quote at position {at + 1} has no partner", at)
    return end + 1


class _Parser:
    """Recursive descent over one text, between two positions."""

    def __init__(self, text: str, at: int, end: int) -> None:
        self._text = text
        self._at = at
        self._end = end
        self._deep = 0
        self._atoms = 0

    def whole(self) -> Expr:
        expr = self._union()
        if self._at < self._end:
            raise self._unexpected()
        return expr

    def _wrong(self, why: str, at: int | None = None) -> TargetError:
        at = self._at if at is None else at
        return TargetError(f"{self._text}: {why}, at position {at + 1}", at)

    def _unexpected(self) -> TargetError:
        if self._next() == ")":
            return self._wrong("a closing parenthesis has no partner")
        return self._wrong("one of , & ! is missing")

    def _next(self) -> str:
        return self._text[self._at] if self._at < self._end else ""

    def _since(self, start: int) -> str:
        return self._text[start : self._at]

    def _union(self) -> Expr:
        start = self._at
        bare = self._next() == "!"
        expr = self._term()
        while self._next() == ",":
            comma = self._at
            self._at += 1
            more = self._next() == "!"
            expr = Pair(",", expr, self._term())
            if more:
                raise self._adds_all(start, comma)
        if bare and isinstance(expr, Pair) and expr.operator == ",":
            raise self._leaves_out(start)
        return expr

    def _leaves_out(self, start: int) -> TargetError:
        """`!B,A` would be all but B and, once more, A."""
        rest = self._text[start + 1 : self._at]
        return self._wrong(f"write !({rest}) to leave out all of these", start)

    def _adds_all(self, start: int, comma: int) -> TargetError:
        """`A,!B` would be A and all but B: hardly ever meant."""
        left, right = self._text[start:comma], self._text[comma + 1 : self._at]
        left = f"({left})" if "," in left else left
        return self._wrong(f"`,!` takes nothing away; write {left}{right}", comma)

    def _term(self) -> Expr:
        expr: Expr = All() if self._next() == "!" else self._factor()
        while (operator := self._next()) in ("&", "!") and operator:
            self._at += 1
            if operator == "&" and self._next() == "!":  # A&!B is A!B
                operator = "!"
                self._at += 1
            expr = Pair(operator, expr, self._factor())
        return expr

    def _factor(self) -> Expr:
        if self._next() != "(":
            return self._atom()
        opened = self._at
        self._deep += 1
        if self._deep > _DEEPEST:
            raise self._wrong("too many parentheses within each other")
        self._at += 1
        expr = self._union()
        if self._at == self._end:
            raise self._wrong("a parenthesis has no partner", opened)
        if self._next() != ")":
            raise self._unexpected()
        self._at += 1
        self._deep -= 1
        return expr

    def _atom(self) -> Expr:
        self._atoms += 1
        if self._atoms > _LARGEST:
            raise self._wrong("too many parts")
        start = self._at
        pieces: list[Part] = []
        key = ""
        plain = True  # nothing quoted so far, so that `key=`, `%`, `@` and numbers can be meant
        while (char := self._next()) and char not in ",&!()":
            if char == "=" and plain and not key and re.fullmatch(_KEY, self._since(start)):
                key = self._since(start)
                pieces = []
                self._at += 1
                continue
            plain = plain and char not in "'\"\\[="
            pieces.append(self._piece(char))
        if self._at == start:
            raise self._wrong("a name or another target is missing")
        if sum(piece.kind == "range" for piece in pieces) > _RANGES:
            raise self._wrong("too many ranges in one name", start)
        glob = Glob(parts(pieces))
        if key:
            return Property(ALIASES.get(key.lower(), key.lower()), glob)
        return self._special(start, self._since(start)) or (
            All() if glob == Glob((Part("*"),)) else Name(glob)
        )

    def _special(self, start: int, raw: str) -> Expr | None:
        if raw.startswith("%"):
            return self._word(start, raw[1:])
        if raw.startswith("@"):
            if not re.fullmatch(_GROUP, raw):
                raise self._wrong(f"{raw} is no name of a node group", start)
            return Group(raw[1:])
        if number := _NUMBER.fullmatch(raw):
            first, last = int(number[1]), int(number[2] or number[1])
            if last < first:
                raise self._wrong(f"{raw} runs backwards", start)
            return Numbers(first, last)
        return None

    def _word(self, start: int, word: str) -> Word:
        known = SESSION_WORDS + RUN_WORDS
        if word not in known:
            close = near(word, known)
            hint = f"did you mean %{close[0]}" if close else f"there are %{', %'.join(known)}"
            raise self._wrong(f"%{word} is unknown; {hint}", start)
        return Word(word)

    def _piece(self, char: str) -> Part:
        at = self._at
        if text := _TEXT.match(self._text, at, self._end):
            self._at = text.end()
            return Part("text", text[0])
        if char in "'\"":
            self._at = _after_quote(self._text, at)
            return Part("text", self._text[at + 1 : self._at - 1])
        if char.isspace():
            raise self._wrong("a space has to be quoted")
        if char == "[":
            return self._bracket(at)
        self._at += 1
        if char == "\\" and self._next() and self._next() in "*?[":
            return self._piece(self._next())
        return Part(char) if char in "*?" else Part("text", char)

    def _bracket(self, at: int) -> Part:
        first = at + 2 if self._text[at + 1 : at + 2] in ("!", "^") else at + 1
        end = self._text.find("]", first + 1, self._end)
        if end < 0:
            raise self._wrong("a bracket has no partner", at)
        self._at = end + 1
        if unfit := re.search(_UNFIT, self._text[at:end]):
            raise self._wrong("a space or a quote cannot stand in brackets", at + unfit.start())
        try:
            return bracket(self._text[at + 1 : end])
        except TargetError as error:
            raise self._wrong(str(error), at) from error
