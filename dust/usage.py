"""A usage text as a grammar: docopt's patterns, matched on words as they were typed.

docopt's own entry point prints, exits and knows nothing of quotes, so that only its reading of
usage texts and its matching are used; the words are sorted into options and values here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import docopt

from dust.errors import UsageError
from dust.lines import unquote

#: Values that keep their quotes: targets and wildcards have a grammar of their own.
AS_TYPED = frozenset(["<target>", "<filter>", "<word>", "<path>"])

_NUMBER = re.compile(r"-\d+(\.\d*)?")
_OPTION = re.compile(r"(?<![\w<-])--?[A-Za-z?][\w-]*")


class Usage:
    """The usage section of a docstring.

    `elements` are the names of all that can be given, as docopt writes them (`<target>`,
    `--no-wait`, `on`). Raises `ValueError` for a docstring that cannot be read.
    """

    def __init__(self, doc: str, name: str, options_first: bool = False) -> None:
        if not doc:
            raise ValueError("it has no docstring")
        if "usage:" not in doc.lower():
            raise ValueError("its docstring has no section `Usage:`")
        try:
            sections = docopt.parse_docstring_sections(doc)
            docopt.lint_docstring(sections)
            described = docopt.parse_options(sections.before_usage)
            described += docopt.parse_options(sections.after_usage)
            self._known: list[docopt.Option] = list(described)
            pattern = docopt.parse_pattern(docopt.formal_usage(sections.usage_body), self._known)
        except docopt.DocoptLanguageError as error:
            raise ValueError(f"its usage cannot be read: {error}") from error
        if sections.before_usage.strip() == "":
            raise ValueError("its docstring has no first line that says what it does")
        if sections.usage_body.split()[0] != name:
            raise ValueError(f"its usage has to begin with {name}")
        in_pattern = pattern.flat(docopt.Option)
        for shortcut in pattern.flat(docopt.OptionsShortcut):
            shortcut.children = [each for each in described if each not in in_pattern]
        self._pattern = pattern
        self._verbatim = options_first
        self.text = (sections.usage_header + sections.usage_body).strip()
        leaves = pattern.flat(docopt.Option, docopt.Argument, docopt.Command)
        self.elements = tuple(dict.fromkeys(str(each.name) for each in leaves))
        for option in described:
            if option.name not in self.elements:
                raise ValueError(f"{option.name} is described but not in the usage")
        self.literals = _names(pattern.flat(docopt.Command))
        self.arguments = _names(pattern.flat(docopt.Argument))
        self.options = self._spellings(sections.usage_body)

    def _spellings(self, body: str) -> tuple[str, ...]:
        """Every way to write an option: as in the usage, as described, and the other names."""
        written = _OPTION.findall(body)
        for option in self._known:
            written += [each for each in (option.short, option.longer) if each]
        return tuple(dict.fromkeys(written))

    def asks_for_help(self, words: Sequence[str]) -> bool:
        """Whether `--help` is among the options, or a `-h` that has no other meaning here."""
        meanings = {"-h", "--help"}.difference(self.options)
        for word in words:
            if word in meanings:
                return True
            if word == "--" or (self._verbatim and not word.startswith("-")):
                return False
        return False

    def match(self, words: Sequence[str]) -> dict[str, Any]:
        """Match words as typed; return the value of every element.

        Only a word that begins with a dash as typed can be an option: `'-x'` is a value, so is
        all after `--`. Values are unquoted but for `AS_TYPED`. Raises `UsageError`.
        """
        given = self._sort(words)
        matched, left, collected = self._pattern.fix().match(given)
        if not matched or left:
            raise UsageError(self._mismatch(given, left if matched else []))
        values: dict[str, Any] = {}
        for leaf in self._pattern.flat():
            values[leaf.name] = [*leaf.value] if isinstance(leaf.value, list) else leaf.value
        for leaf in collected:
            if type(leaf.value) is int:  # docopt counts wrongly where `-vv` comes before `-v`
                values[leaf.name] = sum(each.name == leaf.name for each in given)
            else:
                values[leaf.name] = _read(leaf.name, leaf.value)
        return values

    def _sort(self, words: Sequence[str]) -> list[docopt.Pattern]:
        given: list[docopt.Pattern] = []
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word == "--":
                break
            if word == "-" or not word.startswith("-") or self._is_number(word):
                given.append(docopt.Argument(None, word))
                if self._verbatim:
                    break
            elif self._verbatim and not self._known:
                rest.insert(0, word)
                break
            elif word.startswith("--"):
                given.append(self._long(word, rest))
            else:
                given += self._short(word, rest)
        return given + [docopt.Argument(None, word) for word in rest]

    def _is_number(self, word: str) -> bool:
        return bool(_NUMBER.fullmatch(word)) and word[:2] not in self.options

    def _long(self, word: str, rest: list[str]) -> docopt.Option:
        name, equals, value = word.partition("=")
        names = [each.longer for each in self._known if each.longer]
        matching = [name] if name in names else [each for each in names if each.startswith(name)]
        if len(matching) != 1:
            raise UsageError(self._unknown(name, matching))
        option = next(each for each in self._known if each.longer == matching[0])
        if option.argcount and not equals:
            value = _value_of(matching[0], rest)
        elif equals and not option.argcount:
            raise UsageError(f"{matching[0]} takes no value")
        return _given(option, value if option.argcount else True)

    def _short(self, word: str, rest: list[str]) -> list[docopt.Option]:
        """Take apart `-v`, `-vv`, `-n5` or `-vn 5`."""
        given: list[docopt.Option] = []
        letters = word[1:]
        while letters:
            name, letters = f"-{letters[0]}", letters[1:]
            option = next((each for each in self._known if each.short == name), None)
            if option is None:
                raise UsageError(self._unknown(word if not given else name, []))
            if option.argcount:
                return [*given, _given(option, letters or _value_of(name, rest))]
            given.append(_given(option, True))
        return given

    def _unknown(self, option: str, matching: Sequence[str]) -> str:
        if matching:
            return f"{option} may be {' or '.join(matching)}"
        close = get_close_matches(option, self.options, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"no option {option}{hint}"

    def _mismatch(self, given: list[docopt.Pattern], left: list[docopt.Pattern]) -> str:
        """Say why words do not fit; `left` are those that were too many, if the others do."""
        values = [str(each.value) for each in given if isinstance(each, docopt.Argument)]
        if self.literals and values and values[0] not in self.literals:
            close = get_close_matches(values[0], self.literals, 1)
            if close:
                return f"no {values[0]}; did you mean {close[0]}?"
            if not self.arguments:
                return f"no {values[0]}; there is {', '.join(self.literals)}"
        for extra in left:
            if isinstance(extra, docopt.Option):
                return f"{extra.name} does not go with the rest, or is there too often"
            return f"{unquote(str(extra.value))} is one word too many"
        if not values:
            wanted = [*self.literals, *self.arguments]
            return f"something is missing: {' or '.join(wanted)}" if wanted else "does not fit"
        return "something is missing, or does not go with the rest"


def _read(name: str, value: Any) -> Any:
    if name in AS_TYPED:
        return value
    if isinstance(value, list):
        return [unquote(each) for each in value]
    return unquote(value) if isinstance(value, str) else value


def _names(leaves: Sequence[docopt.Pattern]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(each.name) for each in leaves))


def _value_of(option: str, rest: list[str]) -> str:
    if not rest:
        raise UsageError(f"{option} needs a value")
    return rest.pop(0)


def _given(option: docopt.Option, value: str | bool) -> docopt.Option:
    return docopt.Option(option.short, option.longer, option.argcount, value)
