from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from dust.command import Command, Dust, HelpRequested, command
from dust.errors import PluginError, UsageError


@command(aliases=("ls",))
def show(dust: Dust, v: int, target: str = "*", no_wait: bool = False) -> None:
    """Show the nodes.

    Usage: show [-v|-vv] [--no-wait] [<target>]

    Some words about it.
    """
    cast(list[Any], dust).append((v, target, no_wait))


@command
def log_to(
    dust: Dust, on: bool, off: bool, dir: str | None, file: list[str], size: str, count: str
) -> None:
    """Log.

    Usage:
      log-to on [options] [<dir>] [FILE...]
      log-to off

    Options:
      -s SIZE, --size=SIZE  How much [default: 5'].
      --count=N             How many.
    """


@command(options_first=True)
def ansible(dust: Dust, word: list[str], line: str | None) -> None:
    """Run ansible.

    Usage: ansible [<line>] [<word>...]
    """


def test_what_a_command_says_of_itself() -> None:
    assert (show.name, show.aliases, show.summary) == ("show", ("ls",), "Show the nodes.")
    assert show.usage == "Usage: show [-v|-vv] [--no-wait] [<target>]"
    assert show.doc.endswith("\n\nSome words about it.")
    assert show.options == ("-v", "-vv", "--no-wait")
    assert show.arguments == ("<target>",)
    assert (show.plugin, show.plugin_summary) == ("test_command", "")
    assert show.path == Path(__file__)
    assert "@command" in Path(__file__).read_text().splitlines()[show.line - 1]
    assert log_to.name == "log-to"
    assert log_to.literals == ("on", "off")
    assert log_to.options == ("-s", "--size", "--count")


@pytest.mark.parametrize(
    ("words", "bound"),
    [
        ([], {"v": 0, "no_wait": False}),
        (["-v"], {"v": 1, "no_wait": False}),
        (["-vv", "w*"], {"v": 2, "no_wait": False, "target": "w*"}),
        (["-v", "-v"], {"v": 2, "no_wait": False}),
        (["w*", "--no-wait"], {"v": 0, "no_wait": True, "target": "w*"}),
        (["--no"], {"v": 0, "no_wait": True}),
        (["tags='Name:my node'"], {"v": 0, "no_wait": False, "target": "tags='Name:my node'"}),
        (["-5"], {"v": 0, "no_wait": False, "target": "-5"}),
        (["--", "-v"], {"v": 0, "no_wait": False, "target": "-v"}),
        (["'-v'"], {"v": 0, "no_wait": False, "target": "'-v'"}),
        (["-"], {"v": 0, "no_wait": False, "target": "-"}),
    ],
)
def test_bind(words: list[str], bound: dict[str, Any]) -> None:
    assert show.bind(words) == bound
    assert show.bind(words) == bound


def test_bind_unquotes_what_is_no_target() -> None:
    bound = log_to.bind(["on", "'my dir'", "a\\ b", '"c"', "--size='1 2'", "--count", "'3'"])
    assert bound == {
        "on": True,
        "off": False,
        "dir": "my dir",
        "file": ["a b", "c"],
        "size": "1 2",
        "count": "3",
    }


def test_a_default_of_the_usage_is_taken_as_it_is() -> None:
    assert log_to.bind(["off"]) == {
        "on": False,
        "off": True,
        "dir": None,
        "file": [],
        "size": "5'",
        "count": None,
    }


def test_lists_are_not_shared_between_calls() -> None:
    log_to.bind(["off"])["file"].append("x")
    assert log_to.bind(["off"])["file"] == []


def test_short_options_with_values() -> None:
    assert log_to.bind(["on", "-s7"])["size"] == "7"
    assert log_to.bind(["on", "-s", "-7"])["size"] == "-7"


def test_counted_flags_work_in_any_order() -> None:
    @command
    def x(dust: Dust, v: int) -> None:
        """X.

        Usage: x [-vv|-v]
        """

    assert [x.bind(each)["v"] for each in ([], ["-v"], ["-vv"])] == [0, 1, 2]


def test_options_first_hands_words_on() -> None:
    assert ansible.bind(["w*", "-m", "'my ping'", "--", "-h"]) == {
        "line": "w*",
        "word": ["-m", "'my ping'", "--", "-h"],
    }
    assert ansible.bind(["--version"]) == {"line": "--version", "word": []}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--now"], "no option --now; did you mean --no-wait?"),
        (["-x"], "no option -x"),
        (["-vvv"], "-v does not go with the rest, or is there too often"),
        (["--no-wait=1"], "--no-wait takes no value"),
        (["a", "b c"], "b c is one word too many"),
    ],
)
def test_wrong_usage_of_show(words: list[str], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        show.bind(words)
    assert str(raised.value) == f"show: {said}\n{show.usage}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "something is missing: on or off"),
        (["onn"], "no onn; did you mean on?"),
        (["on", "--size"], "--size needs a value"),
        (["on", "-s"], "-s needs a value"),
        (["off", "--count=1"], "--count does not go with the rest"),
        (["'on'"], "no 'on'; did you mean on?"),
        (["on", "'a"], "no closing '"),
    ],
)
def test_wrong_usage_of_log_to(words: list[str], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        log_to.bind(words)
    assert str(raised.value).startswith(f"log-to: {said}")


def test_an_option_that_begins_two_is_refused() -> None:
    @command
    def x(dust: Dust, no_a: bool, no_b: bool) -> None:
        """X.

        Usage: x [--no-a] [--no-b]
        """

    with pytest.raises(UsageError, match="x: --no may be --no-a or --no-b"):
        x.bind(["--no"])


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["w*", "--help"], ["-v", "-h"]])
def test_help(words: list[str]) -> None:
    with pytest.raises(HelpRequested) as raised:
        show.bind(words)
    assert raised.value.command is show
    assert str(raised.value) == show.doc
    assert raised.value.status == 0


def test_help_is_not_what_follows_dashes_or_has_a_meaning() -> None:
    @command
    def x(dust: Dust, h: bool) -> None:
        """X.

        Usage: x [-h]
        """

    assert x.bind(["-h"]) == {"h": True}
    assert show.bind(["--", "-h"])["target"] == "-h"
    with pytest.raises(HelpRequested):
        x.bind(["--help"])


def test_docopt_never_prints_or_exits(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["--version"], ["--nowait"], ["a", "b"]):
        with pytest.raises((UsageError, HelpRequested)):
            show.bind(words)
    assert capsys.readouterr() == ("", "")


def test_a_command_can_be_called() -> None:
    calls: list[Any] = []
    show(cast(Dust, calls), **show.bind(["-v", "w1"]))
    assert calls == [(1, "w1", False)]


def no_docstring(dust: Dust) -> None: ...


def no_usage(dust: Dust) -> None:
    """Do it."""


def no_summary(dust: Dust) -> None:
    """Usage: no-summary"""  # noqa: D403


def wrong_name(dust: Dust) -> None:
    """Do it.

    Usage: another
    """


def unclosed(dust: Dust) -> None:
    """Do it.

    Usage: unclosed [<a>
    """


def not_in_usage(dust: Dust, tagret: str) -> None:
    """Do it.

    Usage: not-in-usage [<target>]
    """


def not_in_function(dust: Dust) -> None:
    """Do it.

    Usage: not-in-function [--no-wait]
    """


def both_the_same(dust: Dust, new: str) -> None:
    """Do it.

    Usage: both-the-same new <new>
    """


def undescribed(dust: Dust) -> None:
    """Do it.

    Usage: undescribed

    Options:
      --wait  Wait.
    """


def no_context() -> None:
    """Do it.

    Usage: no-context
    """


def starred(dust: Dust, *target: str) -> None:
    """Do it.

    Usage: starred [<target>...]
    """


def unnameable(dust: Dust) -> None:
    """Do it.

    Usage: unnameable <a.b>
    """


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (no_docstring, "it has no docstring"),
        (no_usage, "no section `Usage:`"),
        (no_summary, "no first line"),
        (wrong_name, "its usage has to begin with wrong-name"),
        (unclosed, "its usage cannot be read"),
        (not_in_usage, "the parameter tagret is not in the usage; there is <target>"),
        (not_in_function, "there is no parameter no_wait for --no-wait"),
        (both_the_same, "new and <new> are both the parameter new"),
        (undescribed, "--wait is described but not in the usage"),
        (no_context, "the first parameter has to be the context"),
        (starred, "target cannot be given by name"),
        (unnameable, "<a.b> in the usage cannot be the name"),
    ],
)
def test_a_function_and_its_usage_have_to_agree(function: Callable[..., None], said: str) -> None:
    with pytest.raises(PluginError) as raised:
        command(function)
    assert said in str(raised.value)
    assert raised.value.path == Path(__file__)
    assert raised.value.line == function.__code__.co_firstlineno


def test_names_that_python_keeps_for_itself() -> None:
    @command(name="import")
    def import_(dust: Dust, from_: str) -> None:
        """Import.

        Usage: import <from>
        """

    assert isinstance(import_, Command)
    assert import_.name == "import"
    assert import_.bind(["a"]) == {"from_": "a"}
