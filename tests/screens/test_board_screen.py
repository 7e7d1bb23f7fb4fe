"""The board: all nodes on the full screen, live, and the prompt again after it."""

from __future__ import annotations

import os
from pathlib import Path

from conftest import Start
from screen import Screen


def begun(dust: Start, home: Path, rows: int = 24, columns: int = 80) -> Screen:
    """A board on which both workers wait at a gate."""
    screen = dust(rows=rows, columns=columns)
    screen.wait_for("dust:local$")
    (home / "gate").unlink(missing_ok=True)
    wait = f"while ! test -s {home / 'gate'}; do sleep 0.05; done"
    screen.line(f"@worker* echo begun; {wait}; echo done it; [ {{name}} = worker1 ]")
    screen.wait_for("2 busy$")
    screen.forget()
    screen.line("board")
    screen.wait_for("q leave")
    return screen


def test_it_is_live_and_gives_the_terminal_back(dust: Start, home: Path) -> None:
    screen = begun(dust, home)
    screen.wait(lambda text: text.count(" busy  ") == 2 and text.count("  begun") == 2)
    (home / "gate").write_text("open\n")
    screen.wait(lambda text: text.count("  done it") == 2 and " busy " not in text)
    rows = [line.split() for line in screen.lines if line.startswith("worker")]
    assert [row[:3] for row in rows] == [["worker1", "ready", "0"], ["worker2", "ready", "1"]]
    screen.forget()
    screen.send("q")
    text = screen.wait(lambda text: "worker2: exit 1" in text and text.endswith("2 ready$"))
    assert {"[worker1] done it", "[worker2] done it"} <= set(text.splitlines())
    assert screen.raw.rindex(b"\x1b[?1049l") > screen.raw.rindex(b"\x1b[?1049h")
    assert screen.raw.rindex(b"\x1b[?25h") > screen.raw.rindex(b"\x1b[?25l")
    screen.line("@worker1 echo again")
    screen.wait_for("[worker1] again")


def test_keys_and_sizes(dust: Start, home: Path) -> None:
    screen = begun(dust, home)
    screen.send("/ker2")
    screen.wait(lambda text: text.endswith("/ker2") and "worker1" not in text)
    screen.send("\x1b")
    screen.wait(lambda text: "worker1" in text and "q leave" in text)
    screen.resize(10, 30)
    screen.wait(lambda text: "\nq leave  s sort" in text)
    assert len(screen.text.splitlines()) == 10
    screen.send("\x03")
    screen.wait(lambda text: text.endswith("\ndust:local$"))


def test_a_signal_to_end_restores_the_terminal(dust: Start, home: Path) -> None:
    screen = begun(dust, home)
    os.kill(screen.pid, 15)
    assert screen.wait_for_end() == 128 + 15
    assert screen.raw.rindex(b"\x1b[?1049l") > screen.raw.rindex(b"\x1b[?1049h")


def test_it_needs_a_terminal_that_can_be_drawn_on(dust: Start) -> None:
    screen = dust(TERM="dumb")
    screen.wait_for("dust:local$")
    screen.line("board")
    screen.wait_for("dust: this needs a terminal that can be drawn on")
