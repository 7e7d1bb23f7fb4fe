from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dust.echo import Echo


def heard(line: bytes, *pieces: bytes) -> bool:
    echo = Echo(line)
    for piece in pieces:
        echo.feed(piece)
    return echo.heard


@pytest.mark.parametrize(
    ("line", "printed", "echoed"),
    [
        (b"echo hi", b"echo hi\r\nhi\r\n", True),
        (b"echo hi", b"hi\r\n", False),
        (b"echo hi", b"echo hi", False),  # nothing says yet that this is all of it
        (b"echo hi", b"", False),
        (b"echo hi", b"\x1b[?2004l\recho hi\r\r\nhi\r\n", True),
        (b"a\nb", b"a\r\nb\r\n", True),
        (b"a\nb", b"a\r\nc\r\n", False),
        (b"cat", b"catalogue\r\n", False),
        (b"", b"\r\n", False),
        (b"  ", b"  \r\n", False),
        (b"x" * 1000, b"x" * 300, True),
        (b"x" * 1000, b"x" * 200 + b"\r\n", False),
    ],
)
def test_a_line_is_echoed_if_what_comes_begins_with_it(
    line: bytes, printed: bytes, echoed: bool
) -> None:
    assert heard(line, printed) is echoed
    assert heard(line, *(printed[at : at + 1] for at in range(len(printed)))) is echoed


def test_only_the_beginning_counts() -> None:
    assert not heard(b"ls", b"total 0\r\n", b"ls\r\n")
    assert heard(b"ls", b"ls\r\n", b"total 0\r\n")


@given(st.binary(max_size=40), st.lists(st.binary(max_size=20), max_size=6))
def test_any_bytes_are_taken(line: bytes, pieces: list[bytes]) -> None:
    heard(line, *pieces)


@given(st.text("abc \t'$", min_size=1).filter(str.strip), st.binary(max_size=20))
def test_an_echo_is_always_heard(line: str, more: bytes) -> None:
    assert heard(line.encode(), line.encode() + b"\r\n" + more)
