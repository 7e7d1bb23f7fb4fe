"""Whether lines of shell are complete, judged as a POSIX shell or bash would; no I/O.

A recursive descent over the grammar of the shell that goes once over the text and keeps nothing
of it. It only has to be right where it claims that something is still open: on a syntax error,
and on what belongs to another shell, it claims nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from dust.tokens import OPERATOR, REDIRECTION, Open, Tokens, Wrong

# What may be open where a word still stands outside of quotes.
_UNQUOTED = frozenset(
    ["and", "array", "brace", "case", "cmdsubst", "for", "function", "if", "or", "pipe"]
    + ["procsub", "select", "subshell", "until", "while"]
)
_ASSIGNED = re.compile(r"[A-Za-z_]\w*(?:\[[^\]]*\])?\+?=")
_QUOTING = re.compile(r"['\"\\]")
_DECLARING = frozenset(["declare", "export", "local", "readonly", "typeset"])
_JOINING = {"|": "pipe", "|&": "pipe", "&&": "and", "||": "or"}
# Reserved words that may not begin a command, and those of other shells that end a block.
_CLOSING = frozenset(
    ["then", "elif", "else", "fi", "do", "done", "in", "esac", "}", "]]", "end", "endif"]
)


def unfinished(text: str) -> str | None:
    """Name what a shell would still wait for after these lines, or None if nothing.

    `text` is one or more lines joined by newlines, without a final one. The answer is a word or
    two for a prompt: `quote`, `dquote`, `heredoc EOF`, `if`, `pipe`, ... It takes linear time and
    never raises.
    """
    return _state(text) or None


def inside_command(text: str) -> bool:
    """Whether a word that follows `text` is surely outside of quotes and here-documents."""
    state = _state(text)
    return state is not None and (not state or state in _UNQUOTED)


def _state(text: str) -> str | None:
    """What is open after `text`: "" if nothing is, None if it is not understood."""
    try:
        _Commands(text).whole()
    except Open as opened:
        return str(opened)
    except Wrong:
        return None
    return ""


class _Commands(Tokens):
    """A place in a text, moved forward by one method for each kind of command."""

    def whole(self) -> None:
        self.commands([""], "", may_be_empty=True)

    def substituted(self, name: str) -> None:
        """Take the commands of `$(...)` or `<(...)` and the closing parenthesis."""
        asked = self.documents
        self.documents = []
        self.commands([")"], name, may_be_empty=True)
        self.documents = asked

    def commands(self, ends: Collection[str], name: str, may_be_empty: bool = False) -> str:
        """Take commands up to and with one of these tokens, and return that."""
        empty = True
        while True:
            token = self.token()
            if token == "\n":
                continue
            if token in ends and (may_be_empty or not empty):
                return self.ended(token)
            if not token:
                self.open(name)
            token = self.pipeline(token)
            empty = False
            if token in ends:
                return self.ended(token)
            if not token:
                self.open(name)
            if token not in (";", "&", "\n"):
                raise Wrong

    def ended(self, token: str) -> str:
        if not token and self.documents:
            self.open("")
        return token

    def pipeline(self, token: str) -> str:
        """Take commands joined by `|`, `&&` or `||`; return the token after them."""
        while True:
            self.command(token)
            token = self.token()
            if token not in _JOINING:
                return token
            token = self.token_after_newlines(_JOINING[token])

    def command(self, token: str) -> None:
        """Take the command that begins with this token."""
        self.deeper()
        if token in ("!", "time"):
            self.prefixed()
        elif token == "(" and self.follows("("):
            self.parentheses("arith", closing="))")
            self.redirections()
        elif token == "(":
            self.commands([")"], "subshell")
            self.redirections()
        elif token in _CLOSING or OPERATOR.match(token):
            raise Wrong
        elif compound := _COMPOUND.get(token):
            compound(self, token)
            self.redirections()
        else:
            self.simple(token)
        self.depth -= 1

    def prefixed(self) -> None:
        """Take what follows `!` or `time`, which may be nothing."""
        self.skip_blanks()
        if self.follows("|") or self.follows("&"):
            raise Wrong
        if self.at < len(self.text) and self.text[self.at] not in ";)\n":
            self.command(self.token())

    def simple(self, word: str) -> None:
        """Take a command of words and redirections, or the definition of a function."""
        assigning = word in _DECLARING or bool(_ASSIGNED.match(word))
        if assigning and self.follows("(") and _ASSIGNED.fullmatch(word):
            self.array()
        self.skip_blanks()
        if word != "<" and self.follows("("):
            self.at += 1
            self.function_body()
            return
        while True:
            self.redirections()
            if OPERATOR.match(self.text, self.at) or not (word := self.word()):
                return
            if assigning and self.follows("(") and _ASSIGNED.fullmatch(word):
                self.array()

    def array(self) -> None:
        self.at += 1
        while (token := self.token()) != ")":
            if not token:
                self.open("array")
            if token == "<" or (token != "\n" and OPERATOR.match(token)):
                raise Wrong

    def redirections(self) -> None:
        """Take redirections and process substitutions, and the blanks after them."""
        self.skip_blanks()
        while matched := REDIRECTION.match(self.text, self.at):
            if self.follows("<(") or self.follows(">("):
                self.at += 2
                self.substituted("procsub")
                self.word()
            else:
                self.at = matched.end()
                self.redirection(matched["operator"])
            self.skip_blanks()

    def redirection(self, operator: str | None) -> None:
        self.skip_blanks()
        if self.follows("<(") or self.follows(">("):
            return
        word = self.word()
        if not word:
            raise Wrong
        if operator in ("<<", "<<-"):
            quoted = bool(_QUOTING.search(word))
            self.documents.append((_QUOTING.sub("", word), quoted, operator == "<<-"))

    # Compound commands

    def operand(self) -> None:
        """Take the word that has to follow `for`, `case` or `function` on the same line."""
        token = self.token()
        if not token or token == "<" or OPERATOR.match(token):
            raise Wrong

    def if_(self, name: str) -> None:
        self.commands(["then"], name)
        while (end := self.commands(["elif", "else", "fi"], name)) == "elif":
            self.commands(["then"], name)
        if end == "else":
            self.commands(["fi"], name)

    def while_(self, name: str) -> None:
        self.commands(["do"], name)
        self.commands(["done"], name)

    def for_(self, name: str) -> None:
        self.skip_blanks()
        if self.follows("(("):
            self.at += 1
            self.parentheses("arith", closing="))")
        else:
            self.operand()
        token = self.token_after_newlines(name)
        if token == "in":
            while (token := self.token()) not in (";", "\n"):
                if not token:
                    self.open(name)
                if token == "<" or OPERATOR.match(token):
                    raise Wrong
            token = self.token_after_newlines(name)
        elif token == ";":
            token = self.token_after_newlines(name)
        if token not in ("do", "{"):
            raise Wrong
        self.commands(["done" if token == "do" else "}"], name)

    def case(self, name: str) -> None:
        self.operand()
        if self.token_after_newlines(name) != "in":
            raise Wrong
        while (token := self.token_after_newlines(name)) != "esac":
            if token == "(":
                token = self.token_after_newlines(name)
            self.patterns(token, name)
            if self.commands([";;", ";&", ";;&", "esac"], name, may_be_empty=True) == "esac":
                return

    def patterns(self, token: str, name: str) -> None:
        """Take the patterns of a case, of which `token` is the first, and their parenthesis."""
        while True:
            if OPERATOR.match(token) or token == "<":
                raise Wrong
            token = self.token() or self.open(name)
            if token == ")":
                return
            if token != "|":
                raise Wrong
            token = self.token() or self.open(name)

    def brace(self, name: str) -> None:
        self.commands(["}"], "brace")

    def function(self, name: str) -> None:
        self.operand()
        token = self.token_after_newlines(name)
        if token == "(":
            self.function_body()
        else:
            self.body(token)

    def function_body(self) -> None:
        """Take the `)` after the name of a function and what it is to do."""
        if self.token() != ")":
            raise Wrong
        self.body(self.token_after_newlines("function"))

    def body(self, token: str) -> None:
        if token != "(" and token not in _COMPOUND:
            raise Wrong
        self.command(token)

    def condition(self, name: str) -> None:
        """Take the rest of `[[ ... ]]`, where few operators mean what they do elsewhere."""
        joined = ""  # what the last operator is called, if nothing follows it yet
        while True:
            self.skip_blanks()
            word = self.word()
            if word == "]]":
                return
            if word:
                joined = ""
                continue
            if self.at >= len(self.text) and joined:
                self.open(joined)
            if self.at >= len(self.text) or self.follows(";"):
                raise Wrong  # some shells wait for the next line here, some do not
            if (operator := self.text[self.at : self.at + 2]) in ("&&", "||"):
                joined = _JOINING[operator]
                self.at += 2
                continue
            self.at += 1
            if self.text[self.at - 1] == "\n":
                self.here_documents()


_COMPOUND = {
    "if": _Commands.if_,
    "while": _Commands.while_,
    "until": _Commands.while_,
    "for": _Commands.for_,
    "select": _Commands.for_,
    "case": _Commands.case,
    "{": _Commands.brace,
    "function": _Commands.function,
    "[[": _Commands.condition,
}
