"""Shell text as tokens: operators, words with their quoting, here-documents; no I/O.

The lower half of `dust.syntax`, which has the grammar of commands.
"""

from __future__ import annotations

import re
from typing import NoReturn

OPERATOR = re.compile(r"\n|;;&|;;|;&|;|&&|\|\||\|&|\||&|\(|\)")
REDIRECTION = re.compile(r"(?:[0-9]+|\{\w+\})?(?P<operator><<<|<<-|<<|<>|<&|<|>>|>&|>\||>)|&>>|&>")

# How deep a text may nest before it is taken for something other than typed shell.
_DEEPEST = 50
_BLANKS = re.compile(r"(?:[ \t\r]|\\\n)*")
_PLAIN = re.compile(r"[^ \t\r\n;&|<>()'\"\\$`?*+@!]+")
_ANSI_C = re.compile(r"(?:[^'\\]|\\.)*'", re.S)
_BACKQUOTED = re.compile(r"(?:[^`\\]|\\.)*`", re.S)
_IN_DQUOTES = re.compile(r'(?:[^"\\$`]|\\.)*', re.S)


class Open(Exception):
    """The text ends inside of something; its name is the argument."""


class Wrong(Exception):
    """The text is not shell that this grammar knows."""


class Tokens:
    """A place in a text, moved forward by one method for each thing in the grammar."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.documents: list[tuple[str, bool, bool]] = []  # delimiter, quoted, tabs removed

    # Characters and tokens

    def follows(self, text: str) -> bool:
        """Whether this text comes next."""
        return self.text.startswith(text, self.at)

    def open(self, name: str) -> NoReturn:
        """End here, where the next line would begin with the here-documents asked for so far."""
        raise Open(f"heredoc {self.documents[0][0]}" if self.documents else name)

    def skip_blanks(self) -> None:
        """Pass over blanks, continued lines and a comment."""
        matched = _BLANKS.match(self.text, self.at)
        self.at = matched.end() if matched else self.at
        if self.follows("#"):
            newline = self.text.find("\n", self.at)
            self.at = len(self.text) if newline < 0 else newline

    def token(self) -> str:
        """Take the next operator or word; "" at the end. Redirections are left, as "<"."""
        self.skip_blanks()
        matched = OPERATOR.match(self.text, self.at)
        if matched and not self.follows("&>"):
            self.at = matched.end()
            if matched[0] == "\n":
                self.here_documents()
            return matched[0]
        if REDIRECTION.match(self.text, self.at):
            return "<"
        return self.word()

    def token_after_newlines(self, name: str) -> str:
        """Take the first token of this or a later line; `name` is what waits for it."""
        while (token := self.token()) == "\n":
            pass
        return token or self.open(name)

    def here_documents(self) -> None:
        """Pass over the bodies of the documents that the line before asked for."""
        while self.documents:
            delimiter, quoted, tabs = self.documents[0]
            joined = False
            while True:
                if self.at > len(self.text):
                    raise Open(f"heredoc {delimiter}")
                end = self.text.find("\n", self.at)
                line = self.text[self.at : end if end >= 0 else len(self.text)]
                self.at = end + 1 if end >= 0 else len(self.text) + 1
                if not joined and (line.lstrip("\t") if tabs else line) == delimiter:
                    break
                backslashes = len(line) - len(line.rstrip("\\"))
                joined = not quoted and backslashes % 2 == 1
            self.at = min(self.at, len(self.text))
            # The newline that ends the delimiter's line ends the command too, and was taken.
            del self.documents[0]

    # Words

    def word(self) -> str:
        """Take a word and return it as it is written; "" if there is none."""
        start = self.at
        text = self.text
        while self.at < len(text):
            if plain := _PLAIN.match(text, self.at):
                self.at = plain.end()
                continue
            char = text[self.at]
            if char in "?*+@!":
                self.at += 1
                if self.follows("("):
                    self.parentheses("glob", closing=")")
            elif not self.quoted(char):
                break
        return text[start : self.at]

    def quoted(self, char: str, in_dquotes: bool = False) -> bool:
        """Take what begins with this quoting character, if it is one."""
        if char == "\\":
            if self.at + 1 >= len(self.text):
                raise Open("backslash")
            self.at += 2
        elif char == "'" and not in_dquotes:
            self.at = self.text.find("'", self.at + 1) + 1
            if not self.at:
                raise Open("quote")
        elif char == '"':
            self.dquotes()
        elif char == "$":
            self.dollar(in_dquotes)
        elif char == "`":
            self.to_end_of(_BACKQUOTED, self.at + 1, "backquote")
        else:
            return False
        return True

    def to_end_of(self, pattern: re.Pattern[str], start: int, name: str) -> None:
        """Go to the end of what matches from `start`; `name` is open if nothing does."""
        matched = pattern.match(self.text, start)
        if not matched:
            raise Open(name)
        self.at = matched.end()

    def dquotes(self) -> None:
        """Take a text in double quotes."""
        self.at += 1
        while True:
            self.to_end_of(_IN_DQUOTES, self.at, "dquote")
            if self.at >= len(self.text) or self.follows("\\"):
                raise Open("dquote")
            if self.follows('"'):
                self.at += 1
                return
            self.quoted(self.text[self.at], in_dquotes=True)

    def dollar(self, in_dquotes: bool) -> None:
        """Take a `$` and what it expands; a plain name after it is left."""
        self.at += 1
        self.deeper()
        if self.follows("(("):
            self.at += 1
            self.parentheses("arith", closing="))", in_dquotes=in_dquotes)
        elif self.follows("("):
            self.at += 1
            self.substituted("cmdsubst")
        elif self.follows("{"):
            self.at += 1
            self.parameter(in_dquotes)
        elif self.follows("'") and not in_dquotes:
            self.to_end_of(_ANSI_C, self.at + 1, "quote")
        self.depth -= 1

    def parameter(self, in_dquotes: bool) -> None:
        """Take the rest of `${...}`."""
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "}":
                self.at += 1
                return
            if not self.quoted(char, in_dquotes):
                self.at += 1
        raise Open("param")

    def parentheses(self, name: str, closing: str, in_dquotes: bool = False) -> None:
        """Take a `(` and all to the `closing` that belongs to it, parentheses inside in pairs."""
        self.at += 1
        inside = 0
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == ")" and not inside:
                if self.at + len(closing) > len(self.text):
                    break
                if not self.follows(closing):
                    raise Wrong  # `((a); b)`, say: no arithmetic after all
                self.at += len(closing)
                return
            if not self.quoted(char, in_dquotes):
                inside += (char == "(") - (char == ")")
                self.at += 1
        raise Open(name)

    def substituted(self, name: str) -> None:
        """Take the commands of `$(...)` or `<(...)` and the closing parenthesis."""
        raise NotImplementedError  # what commands are is for the grammar to say

    def deeper(self) -> None:
        """Count one more level of nesting; the caller takes it off again."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise Wrong
