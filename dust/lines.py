"""What was typed: a line becomes an action, text becomes words, variables are filled in; no I/O."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dust.errors import UsageError
from dust.expr import split_target
from dust.node import Node
from dust.syntax import inside_command, unfinished

__all__ = [
    "VARIABLES",
    "Action",
    "Local",
    "Nothing",
    "Raw",
    "Remote",
    "System",
    "check_whole",
    "expand",
    "filled",
    "leaves_open",
    "parse",
    "unfinished",
    "unquote",
    "words",
]

#: The variables of an `@` line, filled for each node.
VARIABLES = ("name", "index", "rank", "count", "ip", "id", "cluster")


@dataclass(frozen=True)
class Nothing:
    """An empty line, or only comments."""


@dataclass(frozen=True)
class Remote:
    """A line for the sessions of a target; an empty target is the running working set."""

    target: str
    line: str


@dataclass(frozen=True)
class Raw:
    """A target alone: its one node's session, character by character."""

    target: str


@dataclass(frozen=True)
class Local:
    """A command, or what the local shell shall run if none has this name."""

    name: str
    text: str

    @property
    def words(self) -> tuple[str, ...]:
        """The words after the name as typed, quotes kept; `UsageError` on an open quote."""
        return tuple(words(self.text[len(self.name) :]))


@dataclass(frozen=True)
class System:
    """A line for the local shell; an empty one asks for that shell itself."""

    text: str


Action = Nothing | Remote | Raw | Local | System

_COMMENTS = re.compile(r"(?:\s+|#[^\n]*)*")
_GAP = re.compile(r"(?:\s|\\\n|(?<!\S)#[^\n]*)*")
_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+""", re.S)
_PIECE = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^'"\\]+)""", re.S)
_QUOTES = {"quote": "'", "dquote": '"'}
_ESCAPED = re.compile(r'\\(["\\$`\n])')
_BRACE = re.compile(r"\{\{|(?<!\$)\{(" + "|".join(VARIABLES) + r")\}")
_SAFE = re.compile(r"[A-Za-z0-9_.:/@%+=][A-Za-z0-9_.:/@%+=-]*")


def parse(text: str) -> Action:
    """Say what a typed line asks for; a line of several lines is one action.

    The text after `@` and its target is kept exactly. `?` is another way to write `help`.
    Raises `TargetError` where a target has no end.
    """
    skipped = _COMMENTS.match(text)
    text = text[skipped.end() if skipped else 0 :]
    if not text:
        return Nothing()
    if text[0] == "@":
        target, line = split_target(text[1:])
        skipped = _COMMENTS.match(line)  # a comment alone is nothing to send
        empty = skipped is not None and skipped.end() == len(line)
        return Raw(target) if empty else Remote(target, line)
    text = text.rstrip()
    if text[0] == "!":
        return System(text[1:].lstrip())
    if text[0] == "?":
        return Local("help", f"help {text[1:]}".rstrip())
    return Local(text.split(None, 1)[0], text)


def check_whole(line: str) -> None:
    """Raise `UsageError` for a line after which a shell would wait for more."""
    if what := unfinished(line):
        raise UsageError(f"the line is unfinished: a shell would wait for more ({what})")


def leaves_open(what: str, line: str) -> bool:
    """Whether one more line surely leaves open what `unfinished` has named.

    Nothing but its delimiter ends a here-document, and nothing but a quote what it began.
    """
    kind, _, delimiter = what.partition(" ")
    if kind == "heredoc":
        return line.lstrip("\t") != delimiter
    return kind in _QUOTES and _QUOTES[kind] not in line


def words(text: str) -> list[str]:
    """Split as a shell does, at blanks outside of quotes, and keep quotes and backslashes.

    What follows a `#` at the start of a word is a comment. Raises `UsageError` on an open quote.
    """
    found: list[str] = []
    at = 0
    while True:
        gap = _GAP.match(text, at)
        at = gap.end() if gap else at
        if at == len(text):
            return found
        word = _WORD.match(text, at)
        end = word.end() if word else at
        if end < len(text) and text[end] in "'\"\\":
            raise _unbalanced(text[end:])
        found.append(text[at:end])
        at = end


def unquote(word: str) -> str:
    """Remove one level of shell quoting; raises `UsageError` on an open quote."""
    parts: list[str] = []
    at = 0
    while at < len(word):
        piece = _PIECE.match(word, at)
        if not piece:
            raise _unbalanced(word[at:])
        single, double, escaped, plain = piece.groups()
        if double is not None:
            parts.append(_ESCAPED.sub(lambda found: found[1].strip("\n"), double))
        elif escaped != "\n":  # a backslash before the end of a line joins the lines
            parts.append(single or escaped or plain or "")
        at = piece.end()
    return "".join(parts)


def _unbalanced(rest: str) -> UsageError:
    if rest[0] == "\\":
        return UsageError("nothing follows the backslash at the end")
    return UsageError(f"no closing {rest[0]} in: {rest}")


def expand(line: str, variables: Mapping[str, str]) -> str:
    """Fill the variables of one node, such as `{name}`, into its line.

    `{{` is a brace, and any other `{` is left alone, also the shell's own `${name}`. A value is
    data: what a shell could read as more than a word is quoted. Raises `UsageError` where quoting
    cannot make it safe: inside of quotes or a here-document, or a value that looks like an option.
    """
    if "{" not in line:
        return line

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return "{"
        value = variables.get(name)
        if value is None:
            return found[0]
        return _quoted(name, value, line[: found.start()])

    return _BRACE.sub(fill, line)


def filled(
    line: str, nodes: Sequence[Node], number: Callable[[Node], int]
) -> Callable[[Node], str]:
    """The line of each of these nodes, its variables filled; `number` gives their `{index}`.

    Raises `UsageError` at once if it cannot be made for one of them, so that it runs on none.
    """

    def made(rank: int, node: Node) -> str:
        values = {
            "name": node.name,
            "index": str(number(node)),
            "rank": str(rank),
            "count": str(len(nodes)),
            "ip": node.ip,
            "id": node.id,
            "cluster": node.cluster,
        }
        return expand(line, values)

    filled = {node.id: made(rank, node) for rank, node in enumerate(nodes)}
    return lambda node: filled[node.id]


def _quoted(name: str, value: str, before: str) -> str:
    if _SAFE.fullmatch(value):
        return value
    if not value:
        return "''" if inside_command(before) else ""
    if value.startswith("-") or not value.isprintable():
        raise UsageError(f"{{{name}}} is {value!r} here, which is not safe in a line of shell")
    if not inside_command(before):
        raise UsageError(
            f"{{{name}}} is {value!r} here, which has to be quoted: "
            f"put {{{name}}} outside of quotes and here-documents"
        )
    return shlex.quote(value)
