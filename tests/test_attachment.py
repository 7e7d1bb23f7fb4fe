"""What the user's terminal needs at the ends of raw mode."""

from __future__ import annotations

import pytest

from dust.attachment import Attachment
from dust.messages import Leaving, Message

FULL, LEFT = b"\x1b[?1049h", b"\x1b[?6l\x1b[?1049l"


@pytest.fixture
def said() -> list[Message]:
    return []


@pytest.fixture
def attachment(said: list[Message]) -> Attachment:
    return Attachment(said.append)


def test_what_leaving_needs_is_said_when_it_changes(
    attachment: Attachment, said: list[Message]
) -> None:
    assert attachment.attach(running=False) == b""
    attachment.shown(b"$ ", running=False)
    assert said == []
    attachment.shown(FULL, running=True)
    attachment.shown(b"text", running=True)
    assert said == [Leaving(LEFT)]
    attachment.shown(b"\x1b[?1049l", running=True)
    assert said[1:] == [Leaving(b"")]


def test_a_program_that_was_left_gets_its_screen_back(
    attachment: Attachment, said: list[Message]
) -> None:
    attachment.attach(running=False)
    attachment.shown(FULL + b"\x1b[?1h", running=True)
    attachment.detach(running=True)
    assert attachment.hidden
    assert attachment.attach(running=True) == FULL + b"\x1b[?1h"
    assert not attachment.hidden
    assert said == [Leaving(LEFT), Leaving(LEFT)]


def test_one_that_has_drawn_nothing_is_not_hidden(attachment: Attachment) -> None:
    attachment.attach(running=False)
    attachment.shown(b"\x1b[?2004h", running=True)
    attachment.detach(running=True)
    assert not attachment.hidden
    assert attachment.attach(running=True) == b""


def test_the_modes_of_a_line_editor_hide_nothing(attachment: Attachment) -> None:
    attachment.attach(running=False)
    attachment.shown(b"\x1b[?1h", running=False)
    attachment.detach(running=False)
    assert not attachment.hidden
    assert attachment.attach(running=False) == b""


def test_one_that_ends_after_it_was_left_is_forgotten(
    attachment: Attachment, said: list[Message]
) -> None:
    attachment.attach(running=False)
    attachment.shown(FULL, running=True)
    attachment.detach(running=True)
    attachment.ended()
    assert not attachment.hidden
    assert attachment.attach(running=True) == b""
    assert said == [Leaving(LEFT)]


def test_one_that_dies_leaves_its_modes_on_the_terminal(
    attachment: Attachment, said: list[Message]
) -> None:
    attachment.attach(running=False)
    attachment.shown(FULL, running=True)
    attachment.ended()
    attachment.shown(b"$ ", running=False)
    assert said == [Leaving(LEFT)]
