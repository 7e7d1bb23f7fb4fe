"""The modes that programs set, and the way off their screens."""

from __future__ import annotations

import pytest

from dust.modes import Modes


@pytest.mark.parametrize(
    ("printed", "running", "leaving"),
    [
        (b"text", True, b""),
        (b"\x1b[?1049h", False, b"\x1b[?6l\x1b[?1049l"),
        (b"\x1b[?1049h\x1b[?1049l", True, b""),
        (b"\x1b[?1;1049h\x1b[?1049l", False, b""),
        (b"\x1b[?1h", True, b"\x1b[?6l\x1b[r\x1b[999H"),
        (b"\x1b[?1h", False, b""),  # a shell's line editor
        (b"\x1b[?47h", True, b"\x1b[?6l\x1b[?47l\x1b8"),
        (b"\x1b[?6h", False, b"\x1b[?6l\x1b[r\x1b[999H"),
    ],
)
def test_leaving(printed: bytes, running: bool, leaving: bytes) -> None:
    for at in range(len(printed)):
        modes = Modes()
        modes.feed(printed[:at])
        modes.feed(printed[at:])
        assert modes.leaving(running) == leaving
    modes.clear()
    assert modes.leaving(running) == b""
