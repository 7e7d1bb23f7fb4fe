"""What ssh asks, at the prompt: by sessions, by copies that have none, and for raw mode."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import NODES, Start
from screen import Screen


@pytest.fixture
def ssh(dust: Start, locked: str, tmp_path: Path) -> Screen:
    """dust on nodes that take a key with a passphrase only, in a folder with a file `data`."""
    (tmp_path / "data").write_text("text\n")
    screen = dust("-F", locked, rows=40, columns=120)
    screen.wait_for("ssh_config$")
    screen.line(f"cd {tmp_path}")
    screen.wait_for("$", 2)
    return screen


def test_a_copy_asks_once_for_all(ssh: Screen, home: Path) -> None:
    with ssh as screen:
        screen.line("put data *")
        screen.wait_for("Enter passphrase")
        screen.line("open sesame")
        screen.wait_for(f"{len(NODES)} files to")
        assert screen.text.count("Enter passphrase") == 1
        assert "sesame" not in screen.text
        assert "sesame" not in (home / "history").read_text()


def test_a_wrong_answer_is_asked_again(ssh: Screen) -> None:
    with ssh as screen:
        screen.line("put data *")
        screen.wait_for("Enter passphrase")
        screen.line("wrong")
        screen.wait_for("Enter passphrase", 2)
        screen.line("open sesame")
        screen.wait_for(f"{len(NODES)} files to")


def test_a_question_of_a_copy_can_be_given_up(ssh: Screen, home: Path) -> None:
    with ssh as screen:
        screen.line("put data worker*")
        screen.wait_for("Enter passphrase")
        screen.send("\x03")
        screen.wait_for("not done: worker[1-2]\ninterrupted")
        screen.line("put data worker1")  # nothing is left of it
        screen.wait_for("Enter passphrase", 2)
        screen.line("open sesame")
        screen.wait_for("1 file to worker1")
        assert not [name for name in os.listdir(home / "cm") if "ask" in name]


def test_a_copy_asks_whether_a_host_is_known(dust: Start, strange: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("text\n")
    with dust("-F", strange, rows=40, columns=120) as screen:
        screen.wait_for("ssh_config$")
        screen.line(f"put {tmp_path}/data master")
        screen.wait_for("yes/no")
        assert "master: The authenticity of host" in screen.text
        assert "SHA256:" in screen.text
        screen.line("yes")
        screen.wait_for("1 file to master")


def test_raw_mode_asks_before_it_begins(ssh: Screen) -> None:
    with ssh as screen:
        screen.line("@worker1")
        screen.wait_for("Enter passphrase")
        screen.line("open sesame")
        screen.wait(lambda text: not text.rpartition("\n")[2].startswith("worker1: Enter"))
        screen.line("echo $((40 + 2))")
        screen.wait_for("42")
        screen.line("exit")
        screen.wait_for("worker1: back in the cluster shell")


def test_what_a_session_was_told_is_not_kept(ssh: Screen) -> None:
    with ssh as screen:
        screen.line("@worker1 echo in")
        screen.wait_for("Enter passphrase")
        screen.line("open sesame")
        screen.wait_for("[worker1] in")
        screen.line("put data worker*")  # worker1 has a session
        screen.wait_for("worker2: Enter passphrase")
        screen.line("open sesame")
        screen.wait_for("2 files to worker[1-2]")


def test_a_terminal_that_can_only_print_asks_too(dust: Start, locked: str) -> None:
    with dust("-F", locked, TERM="dumb") as screen:
        screen.wait_for("ssh_config$")
        screen.line("@worker* echo in")
        screen.wait_for("Enter passphrase")
        screen.line("open sesame")
        screen.wait(lambda text: text.count("] in") == 2 and text.endswith("2 ready$"))
        assert "sesame" not in screen.text
        screen.line("close")
        screen.wait(lambda text: text.endswith("2 down$"))
        screen.forget()
        screen.line("reconnect worker1")
        screen.wait_for("\nworker1: Enter passphrase")
        screen.send("\x03")
        screen.wait(lambda text: "interrupted" in text and text.endswith("2 down$"))
        assert b"\x1b" not in screen.raw
