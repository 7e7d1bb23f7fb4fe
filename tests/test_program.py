"""What is shown of a program's output, and when it counts as waiting."""

from __future__ import annotations

import pytest

from dust.framing import Prompt
from dust.messages import Ended, Message, Output, State
from dust.program import Program

CLOSED = b"Connection to n1 closed by remote host.\r\n"


@pytest.fixture
def said() -> list[Message]:
    return []


@pytest.fixture
def program(said: list[Message]) -> Program:
    return Program(said.append)


def test_lines_are_shown_and_the_rest_in_silence(program: Program, said: list[Message]) -> None:
    program.printed(b"one\r\ntwo")
    assert said == [Output(b"one\n")]
    assert program.pending
    program.fell_silent(running=True)
    assert said[1:] == [Output(b"two")]
    assert not program.pending


def test_it_waits_once_it_has_asked_until_it_is_answered(
    program: Program, said: list[Message]
) -> None:
    program.typed()
    program.printed(b"Continue? [Y/n] ")
    program.fell_silent(running=True)
    assert said == [Output(b"Continue? [Y/n] "), State("waiting")]
    program.typed()
    program.typed()
    assert said[2:] == [State("busy")]


def test_it_waits_no_longer_when_it_prints(program: Program, said: list[Message]) -> None:
    program.printed(b"Password: ")
    program.fell_silent(running=True)
    program.printed(b"\r\nlate\r\n")
    assert said[1:] == [State("waiting"), State("busy"), Output(b"\nlate\n")]


def test_a_shell_at_its_prompt_asks_nothing(program: Program, said: list[Message]) -> None:
    program.printed(b"$ ")
    program.fell_silent(running=False)
    assert said == [Output(b"$ ")]


def test_a_bar_that_is_redrawn_stays_whole(program: Program, said: list[Message]) -> None:
    program.printed(b"10 MB\r20 MB")
    program.fell_silent(running=True)
    assert said == []
    program.printed(b"\r30 MB, done\r\n")
    assert said == [Output(b"30 MB, done\n")]


def test_a_question_over_a_bar_is_shown(program: Program, said: list[Message]) -> None:
    program.printed(b"10 MB\rGo on?")
    program.fell_silent(running=True)
    assert said == [Output(b"Go on?"), State("waiting")]


def test_the_last_words_of_ssh_are_shown_if_it_goes_on(
    program: Program, said: list[Message]
) -> None:
    program.printed(b"before\r\n" + CLOSED)
    assert (said, program.goodbye) == ([Output(b"before\n")], CLOSED)
    assert program.pending
    program.printed(b"", goes_on=True)
    assert said[1:] == [Output(b"Connection to n1 closed by remote host.\n")]
    assert not program.pending
    program.printed(CLOSED)
    program.printed(b"after\r\n")
    assert said[2:] == [Output(b"Connection to n1 closed by remote host.\nafter\n")]


def test_the_last_words_of_ssh_are_no_output(program: Program, said: list[Message]) -> None:
    program.printed(b"half" + b"\r\n" + CLOSED)
    program.flush()
    assert said == [Output(b"half\n")]


def test_the_end_of_one_that_has_turned_echo_on(program: Program) -> None:
    program.begin(b"reset")
    program.printed(b"reset\r\n")
    assert program.end()
    assert not program.end()
    program.begin(b"pwd")
    program.printed(b"/root\r\n")
    assert not program.end()


def test_the_end_is_no_news_for_one_that_waited(program: Program, said: list[Message]) -> None:
    program.printed(b"Name: ")
    program.fell_silent(running=True)
    program.end()
    program.typed()
    assert said == [Output(b"Name: "), State("waiting")]


def test_what_is_done_is_told_after_its_output_with_its_time(
    program: Program, said: list[Message]
) -> None:
    program.begin(b"")
    program.printed(b"no newline")
    program.done(Prompt(3, b"/root", final=True, ended=1))
    output, ended = said
    assert output == Output(b"no newline")
    assert isinstance(ended, Ended)
    assert ended._replace(seconds=0.0) == Ended(1, 3, 0.0, b"/root")
    assert 0 <= ended.seconds < 60
    program.done(Prompt(None, b"", final=True))
    assert isinstance(said[-1], Ended)
    assert said[-1].status == -1
