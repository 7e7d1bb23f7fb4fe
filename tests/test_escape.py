from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dust.escape import HOLD, TIMES, Escape

C = b"\x03"


@pytest.mark.parametrize(
    ("typed", "passed", "leaves"),
    [
        (b"", b"", False),
        (b"ls\r", b"ls\r", False),
        (C, b"", False),
        (C * 2, b"", False),
        (C * 3, b"", True),
        (b"vim" + C * 3, b"vim", True),
        (C + b"a", C + b"a", False),
        (C * 2 + b"a", C * 2 + b"a", False),
        (C * 2 + b"a" + C * 2, C * 2 + b"a", False),
        (C * 2 + b"a" + C * 3, C * 2 + b"a", True),
        (C * 3 + b"dropped", b"", True),
        (b"\x1b[A" + C + b"\x1b[B", b"\x1b[A" + C + b"\x1b[B", False),
        (bytes(range(256)), bytes(range(256)), False),
    ],
)
def test_what_is_passed_on_and_what_leaves(typed: bytes, passed: bytes, leaves: bool) -> None:
    assert Escape().feed(typed, 0.0) == (passed, leaves)
    escape = Escape()
    seen, left = b"", False
    for at in range(len(typed)):  # the same key by key
        if left:
            break
        piece, left = escape.feed(typed[at : at + 1], 0.0)
        seen += piece
    assert (seen, left) == (passed, leaves)


def test_a_held_key_is_due_after_a_moment_and_then_passed_on() -> None:
    escape = Escape()
    assert escape.deadline is None
    escape.feed(C, 10.0)
    assert escape.deadline == 10.0 + HOLD
    escape.feed(C, 10.3)
    assert escape.deadline == 10.3 + HOLD
    assert escape.release() == C * 2
    assert escape.deadline is None
    assert escape.release() == b""


def test_keys_that_were_released_no_longer_count() -> None:
    escape = Escape()
    escape.feed(C * (TIMES - 1), 0.0)
    escape.release()
    assert escape.feed(C, 1.0) == (b"", False)
    assert escape.feed(C * (TIMES - 1), 1.1) == (b"", True)


def test_another_key_sends_what_was_held_before_it() -> None:
    escape = Escape()
    assert escape.feed(C, 0.0) == (b"", False)
    assert escape.feed(b"q", 0.1) == (C + b"q", False)
    assert escape.deadline is None


def test_after_leaving_it_begins_anew() -> None:
    escape = Escape()
    assert escape.feed(C * TIMES, 0.0) == (b"", True)
    assert escape.deadline is None
    assert escape.held == 0
    assert escape.feed(C, 1.0) == (b"", False)


@given(st.lists(st.binary(max_size=6) | st.sampled_from([C, C * 2]), max_size=20))
def test_nothing_that_is_typed_is_lost_or_reordered(pieces: list[bytes]) -> None:
    escape = Escape()
    passed, typed = b"", b""
    for piece in pieces:
        seen, leave = escape.feed(piece, 0.0)
        passed += seen
        typed += piece
        if leave:
            assert typed.startswith(passed + C * TIMES)
            return
        assert typed == passed + C * escape.held
        assert (escape.deadline is None) == (escape.held == 0)
    assert passed + escape.release() == typed
