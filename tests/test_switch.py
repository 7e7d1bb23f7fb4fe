"""The switch between lines and raw mode: when it is typed, and what waits for it."""

from __future__ import annotations

import pytest

from dust.framing import BUSY, READY, Framing
from dust.switch import Switch


class Shell:
    """A shell at its prompt: `typed` is what came in, `prompt` has it done with one of that."""

    def __init__(self) -> None:
        self.framing = Framing("n")
        self.typed: list[bytes] = []
        self.switch = Switch(self.framing, self.typed.append)
        self.prompt()

    def prompt(self) -> None:
        list(self.framing.feed(b"\x1b]7770;n;P;0;/\a"))


@pytest.fixture
def shell() -> Shell:
    found = Shell()
    assert found.framing.state == READY
    return found


def test_at_a_prompt_it_is_typed_at_once(shell: Shell) -> None:
    shell.switch.ask(b"raw")
    assert (shell.typed, shell.framing.state) == ([b"raw\n"], BUSY)
    assert shell.switch.under_way
    shell.prompt()
    assert shell.switch.prompted()
    assert not (shell.switch.under_way or shell.switch.needed)


def test_what_is_half_typed_is_thrown_away_before(shell: Shell) -> None:
    shell.switch.typed = True
    shell.switch.ask(b"lines")
    assert shell.typed == [b"\x03"]
    shell.prompt()
    assert not shell.switch.prompted()
    assert shell.typed == [b"\x03", b"lines\n"]
    shell.prompt()
    assert shell.switch.prompted()
    assert not shell.switch.typed


def test_while_a_program_runs_it_waits_for_the_prompt(shell: Shell) -> None:
    shell.framing.submit(b"vim")
    shell.switch.ask(b"lines")
    assert shell.typed == []
    assert shell.switch.needed and not shell.switch.under_way
    shell.prompt()
    shell.switch.ended()
    assert shell.typed == [b"lines\n"] and shell.switch.under_way


def test_the_last_that_was_asked_for_is_typed(shell: Shell) -> None:
    shell.framing.submit(b"vim")
    shell.switch.ask(b"lines")
    shell.switch.ask(b"raw")
    shell.prompt()
    shell.switch.ended(b"afresh")
    assert shell.typed == [b"raw\n"]


def test_a_prompt_may_ask_for_one_by_itself(shell: Shell) -> None:
    shell.switch.ended()
    assert shell.typed == [] and not (shell.switch.under_way or shell.switch.needed)
    shell.switch.ended(b"afresh")
    assert shell.typed == [b"afresh\n"] and shell.switch.under_way
