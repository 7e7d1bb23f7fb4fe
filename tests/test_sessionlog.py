from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from dust.errors import DustError
from dust.node import Node
from dust.sessionlog import SessionLog


def node(name: str) -> Node:
    return Node(name, f"id of {name}", "test")


class Logged:
    """A log, and what was told of its end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.log = SessionLog(folder, lambda node: node.name, self.said.append)

    def text(self, name: str) -> str:
        self.log.flush()
        return (self.folder / f"{name}.log").read_text()


@pytest.fixture
def logged(tmp_path: Path) -> Logged:
    return Logged(tmp_path / "new" / "logs")


def test_lines_that_were_sent_stand_between_what_was_printed(logged: Logged) -> None:
    n1 = node("n1")
    logged.log.sent(n1, "echo \x1b[31mhi")
    logged.log.output(n1, b"\x1b[31mred\x1b[m\n")
    logged.log.output(n1, b"sure? ")
    logged.log.sent(n1, "Y")
    logged.log.output(n1, b"done\n")
    text = re.sub(r"\d\d:\d\d:\d\d", "TIME", logged.text("n1"))
    assert text == "TIME $ echo \\x1b[31mhi\nred\nsure? \nTIME $ Y\ndone\n"


def test_files_are_for_their_owner_and_are_continued(logged: Logged) -> None:
    logged.log.output(node("n1"), b"one\n")
    logged.log.close()
    again = Logged(logged.folder)
    again.log.output(node("n1"), b"two\n")
    assert again.text("n1") == "one\ntwo\n"
    assert stat.S_IMODE((logged.folder / "n1.log").stat().st_mode) == 0o600
    assert stat.S_IMODE(logged.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "names", [("../out", "..%2fout"), ("a/b", "a b"), ("x" * 300, "x" * 299 + "y"), ("", "\n")]
)
def test_no_name_leaves_the_folder_or_meets_another(logged: Logged, names: tuple[str, str]) -> None:
    for name in names:
        logged.log.output(node(name), f"{name!r}\n".encode())
    logged.log.flush()
    texts = {path.read_text() for path in logged.folder.iterdir()}
    assert texts == {f"{name!r}\n" for name in names}


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DustError, match="cannot make the folder: File exists"):
        Logged(tmp_path / "file" / "logs")


def test_a_log_that_fails_says_so_once_and_ends(logged: Logged) -> None:
    full = logged.folder / "n1.log"
    full.symlink_to("/dev/full")
    logged.log.output(node("n1"), b"lost\n")
    logged.log.flush()
    logged.log.flush()
    assert logged.said == [f"the log in {logged.folder} has ended: No space left on device"]


def test_what_is_sent_is_written_before_the_next_turn(logged: Logged) -> None:
    logged.log.sent(node("n1"), "echo hi")
    logged.log.flush()
    assert os.stat(logged.folder / "n1.log").st_size
