"""What plugins import: the `@command` decorator and the context that a command receives.

    @command
    def df(dust: Dust, target: str = "*") -> None:
        '''Show the free space of each node.

        Usage: df [<target>]
        '''

The usage text is the only source of parsing, help and completion. Its names are the parameters:
`<target>` is `target`, `FILE` is `file`, `--no-wait` is `no_wait`, `-v` is `v`, and a literal
word such as `on` is a bool `on`. What is not given is the parameter's default, else what docopt
says for it: None, False, 0 or [].
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from keyword import iskeyword
from pathlib import Path
from typing import Any, overload

from dust.api import Dust
from dust.copies import Copied
from dust.errors import DustError, PluginError, UsageError
from dust.node import Node
from dust.run import Result
from dust.usage import Usage

__all__ = ["Command", "Copied", "Dust", "HelpRequested", "Node", "Result", "UsageError", "command"]


class HelpRequested(DustError):
    """Not a failure: the line asked for the help of `command`, and its text is that help."""

    status = 0

    def __init__(self, command: Command) -> None:
        super().__init__(command.doc)
        self.command = command


@dataclass(frozen=True)
class Command:
    """One command: a function, and what its docstring says.

    `plugin` is the name of its file without `.py`, `plugin_summary` the first line of that
    file's docstring. `options` and `literals` are what may be typed as it is, `-vv` and `on`;
    `arguments` are the names of the others, such as `<target>`.
    """

    name: str
    aliases: tuple[str, ...]
    summary: str
    doc: str
    usage: str
    options: tuple[str, ...]
    literals: tuple[str, ...]
    arguments: tuple[str, ...]
    function: Callable[..., None]
    plugin: str
    plugin_summary: str
    path: Path
    line: int
    grammar: Usage = field(repr=False, compare=False)
    parameters: Mapping[str, str] = field(repr=False, compare=False)
    defaulted: frozenset[str] = field(repr=False, compare=False)

    def bind(self, words: Sequence[str]) -> dict[str, Any]:
        """Turn the words after the command's name, as typed, into the function's parameters.

        Values of `<target>`, `<filter>`, `<word>` and `<path>` stay as typed, others are unquoted.
        Raises `UsageError` with the usage text, or `HelpRequested` on `-h` or `--help`.
        """
        if self.grammar.asks_for_help(words):
            raise HelpRequested(self)
        try:
            found = self.grammar.match(words)
        except UsageError as error:
            raise UsageError(f"{self.name}: {error}\n{self.usage}") from error
        bound: dict[str, Any] = {}
        for element, value in found.items():
            parameter = self.parameters[element]
            if value in (None, []) and parameter in self.defaulted:
                continue
            bound[parameter] = value
        return bound

    def __call__(self, dust: Dust, *arguments: Any, **parameters: Any) -> None:
        """Run the function with parameters as `bind` returns them."""
        self.function(dust, *arguments, **parameters)


@overload
def command(function: Callable[..., None], /) -> Command: ...


@overload
def command(
    *, name: str = "", aliases: Sequence[str] = (), options_first: bool = False
) -> Callable[[Callable[..., None]], Command]: ...


def command(
    function: Callable[..., None] | None = None,
    /,
    *,
    name: str = "",
    aliases: Sequence[str] = (),
    options_first: bool = False,
) -> Command | Callable[[Callable[..., None]], Command]:
    """Make a function a command, called as the function with `-` for `_`, or `name`.

    With `options_first` the words after the first argument are values even where they begin
    with a dash, for commands that hand their words on. Raises `PluginError` with file and line
    where the function and its usage do not agree.
    """
    if function is not None:
        return _make(function, name, aliases, options_first)
    return lambda decorated: _make(decorated, name, aliases, options_first)


def _make(
    function: Callable[..., None], name: str, aliases: Sequence[str], options_first: bool
) -> Command:
    code = function.__code__
    path, line = Path(code.co_filename), code.co_firstlineno
    name = name or function.__name__.replace("_", "-")
    doc = inspect.cleandoc(function.__doc__ or "")
    try:
        usage = Usage(doc, name, options_first)
        parameters = {element: _parameter(element) for element in usage.elements}
        defaulted = _check(function, parameters)
    except ValueError as error:
        raise PluginError(f"{name}: {error}", path, line) from error
    module_doc = inspect.cleandoc(function.__globals__.get("__doc__") or "")
    return Command(
        name=name,
        aliases=tuple(aliases),
        summary=doc.partition("\n")[0],
        doc=doc,
        usage=usage.text,
        options=usage.options,
        literals=usage.literals,
        arguments=usage.arguments,
        function=function,
        plugin=function.__module__.rpartition(".")[2],
        plugin_summary=module_doc.partition("\n")[0],
        path=path,
        line=line,
        grammar=usage,
        parameters=parameters,
        defaulted=defaulted,
    )


def _parameter(element: str) -> str:
    """The parameter for an element of a usage: `<target>`, `FILE`, `--no-wait`, `-v`, `on`."""
    plain = element.strip("<>") if element.startswith("<") else element.lstrip("-")
    name = plain.lower() if plain.isupper() and not element.startswith("-") else plain
    name = name.replace("-", "_")
    if not name.isidentifier():
        raise ValueError(f"{element} in the usage cannot be the name of a parameter")
    return f"{name}_" if iskeyword(name) else name


def _check(function: Callable[..., None], parameters: Mapping[str, str]) -> frozenset[str]:
    """Compare a function with its usage; return its parameters that have a default."""
    context, rest = None, list(inspect.signature(function).parameters.values())
    if rest:
        context = rest.pop(0)
    if context is None or context.kind not in (context.POSITIONAL_ONLY, _BY_NAME):
        raise ValueError("the first parameter has to be the context, such as `dust: Dust`")
    taken: dict[str, str] = {}
    for element, wanted in parameters.items():
        if wanted in taken:
            raise ValueError(f"{taken[wanted]} and {element} are both the parameter {wanted}")
        taken[wanted] = element
    for parameter in rest:
        if parameter.kind not in (_BY_NAME, parameter.KEYWORD_ONLY):
            raise ValueError(f"the parameter {parameter.name} cannot be given by name")
        if taken.pop(parameter.name, None) is None:
            close = get_close_matches(parameter.name, taken, 1)
            hint = f"; there is {taken[close[0]]}" if close else ""
            raise ValueError(f"the parameter {parameter.name} is not in the usage{hint}")
    if taken:
        missing, element = next(iter(taken.items()))
        raise ValueError(f"there is no parameter {missing} for {element} in the usage")
    return frozenset(each.name for each in rest if each.default is not each.empty)


_BY_NAME = inspect.Parameter.POSITIONAL_OR_KEYWORD
