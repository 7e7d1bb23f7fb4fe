"""dust-at on a terminal: what ssh asks, how far it is, and Ctrl-C."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import NODES, ROOT
from screen import Screen

DUST_AT = [sys.executable, str(ROOT / "bin" / "dust-at")]
At = Callable[..., Screen]


@pytest.fixture
def at(home: Path, tmp_path: Path) -> Iterator[At]:
    """Starts dust-at on a terminal, and keeps no connection; ends what is left of it."""
    started: list[Screen] = []
    own = tmp_path / "dust"
    own.mkdir()
    (own / "local").symlink_to(home / "local")
    (own / "config.yaml").write_text("persist: 0\n")

    def start(*arguments: str, **more: str) -> Screen:
        env = {**os.environ, "DUST_HOME": str(own), "TERM": "xterm-256color", **more}
        started.append(Screen([*DUST_AT, *arguments], env, 24, 100))
        return started[-1]

    yield start
    for screen in started:
        screen.child.close(force=True)


def test_a_passphrase_is_asked_once_for_all(at: At, locked: str) -> None:
    with at("-F", locked, "*", "echo in") as screen:
        screen.wait_for("Enter passphrase")
        screen.line("open sesame")
        assert screen.wait_for_end() == 0
        assert screen.text.count("Enter passphrase") == 1
        assert "sesame" not in screen.text
        assert screen.text.count("] in") == len(NODES)


def test_a_wrong_answer_is_asked_again(at: At, locked: str) -> None:
    with at("-F", locked, "*", "echo in") as screen:
        screen.wait_for("Enter passphrase")
        screen.line("wrong")
        screen.wait_for("Enter passphrase", 2)
        screen.line("open sesame")
        assert screen.wait_for_end() == 0
        assert screen.text.count("] in") == len(NODES)


@pytest.mark.parametrize(("typed", "status"), [("\x03", 130), ("\x04", 255)])
def test_a_question_can_be_given_up(at: At, locked: str, typed: str, status: int) -> None:
    with at("-F", locked, "worker*", "echo in") as screen:
        screen.wait_for("Enter passphrase")
        screen.send(typed)
        if status == 255:  # ssh goes on to other ways, and asks no more for this key
            screen.wait(lambda text: "unreachable" in text)
        assert screen.wait_for_end() == status
        assert "worker[1-2]" in screen.text


def test_an_unknown_key_is_shown_before_it_is_taken(at: At, strange: str) -> None:
    with at("-F", strange, "master", "echo in") as screen:
        screen.wait_for("yes/no")
        assert "SHA256:" in screen.text
        screen.line("yes")
        assert screen.wait_for_end() == 0
        assert "yes\n" in screen.text  # what is no secret is seen while it is typed


def test_the_users_own_program_is_asked_once(at: At, locked: str, tmp_path: Path) -> None:
    program = tmp_path / "askpass"
    program.write_text(f'#!/bin/sh\necho "$1" >>{tmp_path}/asked\necho open sesame\n')
    program.chmod(0o700)
    with at(
        "-F", locked, "*", "echo in", SSH_ASKPASS=str(program), SSH_ASKPASS_REQUIRE="force"
    ) as screen:
        assert screen.wait_for_end() == 0
    assert (tmp_path / "asked").read_text().count("passphrase") == 1


def test_what_is_asked_needs_no_home_that_can_be_written(at: At, locked: str) -> None:
    with at("-F", locked, "*", "echo in", DUST_HOME="/dev/null/home") as screen:
        screen.wait_for("Enter passphrase")
        screen.line("open sesame")
        assert screen.wait_for_end() == 0
        assert screen.text.count("] in") == len(NODES)


def test_nobody_else_can_ask_or_read(at: At, locked: str, tmp_path: Path) -> None:
    with at("-F", locked, "master", "true", TMPDIR="/tmp") as screen:
        screen.wait_for("Enter passphrase")
        environ = Path(f"/proc/{ssh_below(screen.pid)}/environ").read_bytes().split(b"\0")
        socket = next(line for line in environ if line.startswith(b"DUST_ASKPASS="))
        folder = Path(os.fsdecode(socket.partition(b"=")[2])).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        screen.line("open sesame")
        assert screen.wait_for_end() == 0
        assert not folder.exists()


def ssh_below(pid: int) -> int:
    """The ssh that this process has started."""
    listed = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(pid)], capture_output=True)
    rows = [row.split() for row in listed.stdout.decode().splitlines()]
    return next(int(number) for number, name in rows if name == "ssh")


def test_how_far_it_is_stands_on_the_terminal_and_goes(at: At, tmp_path: Path) -> None:
    end = tmp_path / "end"
    with at(
        "worker*", f"echo begun; [ {{name}} = worker1 ] || until [ -e {end} ]; do sleep 0.1; done"
    ) as screen:
        screen.wait_for("1/2 done")
        assert "waiting for worker2" in screen.text
        end.touch()
        assert screen.wait_for_end() == 0
        assert "done" not in screen.text


def test_ctrl_c_names_who_was_not_done(at: At) -> None:
    with at("worker*", "echo begun; [ {name} = worker1 ] || exec sleep 1000") as screen:
        screen.wait_for("1/2 done")
        screen.send("\x03")
        assert screen.wait_for_end() == 130
        assert "worker2: interrupted" in screen.text


def test_one_node_with_a_terminal_has_the_users(at: At) -> None:
    with at("-t", "worker1", "tty; stty size; read x; echo got $x") as screen:
        screen.wait_for("24 100")
        screen.line("a word")
        assert screen.wait_for_end() == 0
        assert "got a word" in screen.text


def test_typed_input_reaches_all(at: At) -> None:
    with at("worker*", "head -n 1") as screen:
        screen.line("hello")
        assert screen.wait_for_end() == 0
        assert screen.text.count("] hello") == 2


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["-u", "1"], 124, "worker1: no end after 1 s"),
        (["-o", "out"], 0, ""),
        (["--json"], 0, '"node": "worker1"'),
    ],
)
def test_a_terminal_for_one_node_keeps_to_the_other_options(
    at: At, tmp_path: Path, options: list[str], status: int, said: str
) -> None:
    options = [str(tmp_path / word) if word == "out" else word for word in options]
    command = "exec sleep 600" if status else "tty"
    with at("-t", *options, "worker1", command) as screen:
        assert screen.wait_for_end() == status
        assert said in screen.text
        assert "what you type reaches no node" in screen.text
    if "-o" in options:
        assert "/dev/pts/" in (tmp_path / "out" / "worker1").read_text()
