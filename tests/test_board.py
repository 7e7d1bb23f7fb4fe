"""The board's lines, for rows and keys; what the command gives it."""

from __future__ import annotations

import re

import pytest
from recording import MASTER, NODES, WORKER1, Recorder, ran

from dust.board import Board, Row, cut, lasting, row
from dust.link import Link
from dust.run import Run

ROWS = [
    Row("master", "ready", 0, 0.25, "fine"),
    Row("worker1", "busy", None, 75.0, "Reading package lists"),
    Row("worker2", "waiting", None, 3700.0, "Continue? [Y/n]"),
    Row("worker10", "down", None, None, "connection refused"),
]


def shown(board: Board, height: int = 8, width: int = 70) -> list[str]:
    """The lines without colours."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in board.lines(height, width)]
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    return lines


def names(board: Board, height: int = 8) -> list[str]:
    return [line.split()[0] for line in shown(board, height)[2:-1] if line]


def board() -> Board:
    return Board("make", lambda: ROWS)


def test_what_stands_on_it() -> None:
    assert shown(board()) == [
        "make  1 ready · 1 busy · 1 waiting · 1 down",
        "node     state        exit    time  last line",
        "master   ready           0   0.2 s  fine",
        "worker1  busy                 1:15  Reading package lists",
        "worker2  waiting           1:01:40  Continue? [Y/n]",
        "worker10 down                       connection refused",
        "",
        "q leave  s sort  r reverse  / filter  arrows, page up and down move",
    ]


def test_states_are_coloured() -> None:
    lines = board().lines(8, 70)
    assert "\x1b[32mready\x1b[0m" in lines[2]
    assert "\x1b[31mdown\x1b[0m" in lines[5]


@pytest.mark.parametrize("width", [1, 9, 14, 20, 37])
@pytest.mark.parametrize("height", [1, 2, 3, 5])
def test_it_fits_any_screen(height: int, width: int) -> None:
    shown(board(), height, width)


def test_keys_sort_and_reverse() -> None:
    view = board()
    orders = []
    for _ in range(4):
        assert not view.key("s")
        orders.append(names(view))
    by_state = ["worker1", "worker10", "master", "worker2"]
    by_exit = ["worker1", "worker2", "worker10", "master"]
    by_time = ["worker10", "master", "worker1", "worker2"]
    assert orders == [by_state, by_exit, by_time, [row.name for row in ROWS]]
    view.key("r")
    assert names(view) == [row.name for row in reversed(ROWS)]
    assert "reversed" in shown(view)[0]


def test_keys_filter_by_what_is_typed() -> None:
    view = board()
    for key in "/WORX":
        assert not view.key(key)
    view.key("c-h")
    assert shown(view)[-1] == "/WOR"
    assert names(view) == ["worker1", "worker2", "worker10"]
    view.key("c-m")
    assert not view.key("s")  # a key again, and no letter
    assert "filter: WOR" in shown(view)[-1]
    for key in "/refused":
        view.key(key)
    assert names(view) == ["worker10"]
    view.key("escape")
    assert len(names(view)) == 4


def test_keys_move() -> None:
    view = Board("make", lambda: [Row(f"n{at}", "ready", 0, 1.0, "") for at in range(10)])
    assert names(view, 6) == ["n0", "n1", "n2"]
    assert "7 more below" in shown(view, 6, 90)[-1]
    view.key("down")
    view.key("pagedown")
    assert names(view, 6) == ["n4", "n5", "n6"]
    view.key("pagedown")
    view.key("pagedown")
    assert names(view, 6) == ["n7", "n8", "n9"]
    view.key("up")
    assert names(view, 6) == ["n6", "n7", "n8"]
    view.key("home")
    assert names(view, 6) == ["n0", "n1", "n2"]


@pytest.mark.parametrize("key", ["q", "escape", "c-c", "c-d"])
def test_keys_leave(key: str) -> None:
    assert board().key(key)


def test_ctrl_c_leaves_while_typing() -> None:
    view = board()
    view.key("/")
    assert not view.key("q")
    assert view.key("c-c")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.4, "9.4 s"), (60, "1:00"), (3599, "59:59"), (3600, "1:00:00")],
)  # fmt: skip
def test_times(seconds: float, text: str) -> None:
    assert lasting(seconds) == text


def test_wide_characters_are_counted() -> None:
    assert cut("日本語", 5) == "日本"
    view = Board("", lambda: [Row("日本", "ready", 0, 1.0, "語" * 90)])
    assert view.lines(4, 60)[2].count("語") == 14


# --- rows


def test_a_row_of_a_line_that_has_ended() -> None:
    run = ran((MASTER, "some\noutput\n"))
    link = Link(MASTER, "ready", last_line=b"some\n\x1b[31moutput\x1b[0m\t!\n\n")
    assert row(MASTER, "m", link, run, run.begun + 9) == Row("m", "ready", 0, 0.1, "output !")


def test_a_row_of_a_line_that_runs() -> None:
    old, run = ran((MASTER, "")), Run.on([MASTER], "sleep 9")
    link = Link(MASTER, "busy", runs=[run])
    assert row(MASTER, "m", link, old, run.begun + 9) == Row("m", "busy", None, 9.0, "")


def test_rows_of_nodes_without_a_shell() -> None:
    lost = Link(MASTER, "down", reason="refused: \x1b[2J", last_line=b"so far\n")
    assert row(MASTER, "m", lost, None, 0) == Row("m", "down", None, None, r"refused: \x1b[2J")
    assert row(WORKER1, "w", None, None, 0) == Row("w", "-", None, None, "")
    assert row(NODES[2], "w", None, None, 0).state == "stopped"


# --- the command


def test_the_command_shows_its_target() -> None:
    dust = Recorder(NODES)
    dust.last = ran((MASTER, "fine"))
    dust.sessions.add(MASTER, "ready")
    dust.type("board", "slurm1")
    lines = dust.view.lines(9, 60)
    assert "some line  1 ready · 1 - · 1 stopped" in lines[0]
    assert [line.split()[0] for line in lines[2:5]] == ["master", "worker1", "worker2"]
    assert not dust.is_running
    dust.sessions.links[MASTER.id].runs.append(Run.on([MASTER], "more"))
    dust.type("board")
    assert dust.is_running
