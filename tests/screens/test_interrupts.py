"""Ctrl-C at the prompt: what it ends, what it says, and that dust and its sessions live."""

from __future__ import annotations

import os
import signal
import termios
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Start
from screen import Screen

from dust.backends.local import LocalBackend


def started(dust: Start, *arguments: str) -> Screen:
    screen = dust(*arguments, rows=30, columns=100)
    screen.wait_for("$")
    screen.line("set progress off")
    screen.wait_for("$", 2)
    return screen


def much(text: str) -> bool:
    """Much is being printed: a terminal is read until then, and what prints waits."""
    return text.count("\n") > 100


def prompt_after(words: str) -> Callable[[str], bool]:
    return lambda text: "ready$" in text.partition(words)[2]


def goes_on(screen: Screen) -> None:
    screen.line("@worker1 echo $((40 + 2)) lives")
    screen.wait_for("42 lives")


@pytest.mark.parametrize("command", ["last", "fold"])
@pytest.mark.parametrize("times", [1, 20])
def test_ctrl_c_ends_what_a_command_prints(dust: Start, command: str, times: int) -> None:
    screen = started(dust)
    screen.line("@worker1 seq 400000")
    screen.skim(lambda text: "] 400000" in text and "1 ready$" in text, 60)
    screen.line(command)
    screen.skim(much)
    for _ in range(times):  # as a key that is held
        screen.send("\x03")
    text = screen.skim(prompt_after("interrupted"), 10)
    assert "interrupted: not all of it was shown" in text
    assert "400000" not in text
    goes_on(screen)


def test_ctrl_c_ends_what_dust_says_at_length(dust: Start, home: Path) -> None:
    (home / "history").write_text("".join(f"!echo {number}\n" for number in range(200_000)))
    screen = started(dust, "--cluster", "demo")
    screen.line("@worker1 true")
    screen.wait_for("1 ready$")
    screen.line("history")
    screen.skim(much, 60)
    screen.send("\x03")
    screen.skim(prompt_after("interrupted: not all of it was shown"), 10)
    goes_on(screen)
    (home / "history").unlink()


@pytest.mark.parametrize("form", ["block", "fold"])
def test_ctrl_c_ends_output_that_comes_at_once(dust: Start, form: str) -> None:
    screen = started(dust)
    screen.line(f"output {form}")
    screen.line("@worker1 seq 2000000")
    screen.skim(much, 60)
    screen.send("\x03")
    screen.skim(prompt_after("interrupted: not all was shown, `last` shows it again"), 10)
    goes_on(screen)


def test_ctrl_c_after_a_line_typed_below_output(dust: Start, tmp_path: Path) -> None:
    """The line is not carried out: who presses Ctrl-C wants nothing to begin."""
    screen = started(dust)
    screen.line("output fold")
    screen.line("@worker1 seq 2000000")
    screen.skim(much, 60)
    screen.line(f"!touch {tmp_path}/carried-out")
    screen.skim(lambda text: termios.tcgetattr(screen.child.child_fd)[3] & termios.ISIG)
    screen.skim(much)
    screen.send("\x03")
    screen.skim(prompt_after("interrupted: not all was shown"), 10)
    goes_on(screen)
    assert not (tmp_path / "carried-out").exists()


@pytest.mark.parametrize("form", ["block", "fold"])
def test_ctrl_c_ends_output_of_a_script(dust: Start, tmp_path: Path, form: str) -> None:
    script = tmp_path / "script"
    script.write_text(f"output {form}\n@worker1 seq 2000000\n!echo went on\n")
    screen = dust(str(script))
    screen.skim(much, 60)
    screen.send("\x03")
    assert screen.wait_for_end() == 130
    assert "interrupted: not all of it was shown" in screen.text
    assert "went on" not in screen.text


@pytest.mark.parametrize("line", ["@worker1 ", "!"])
def test_ctrl_c_gives_up_the_rest_of_what_was_pasted(
    dust: Start, tmp_path: Path, line: str
) -> None:
    screen = started(dust)
    (tmp_path / "file").write_text("begun\n")
    rest = [f"!touch {tmp_path}/carried-out", f"@worker1 touch {tmp_path}/carried-out"]
    pasted = "\n".join(["@worker1 cd", f"{line}tail -f {tmp_path}/file", *rest])
    screen.send(f"\x1b[200~{pasted}\x1b[201~\r")
    screen.wait_for("begun")
    screen.send("\x03")
    screen.skim(prompt_after("interrupted: 2 lines were not carried out"), 10)
    goes_on(screen)
    assert not (tmp_path / "carried-out").exists()


# --- while sessions are opened


def test_ctrl_c_at_a_question_gives_up_all_that_is_connecting(dust: Start, strange: str) -> None:
    screen = started(dust, "-F", strange)
    screen.line("@ hostname")
    screen.wait_for("yes/no")
    screen.send("\x03")
    text = screen.wait(lambda text: text.endswith("3 down$"))
    assert "interrupted" in text
    assert text.count("yes/no") == 1
    screen.line("@worker1 echo $((40 + 2))")  # it is asked anew
    screen.wait_for("yes/no", 2)
    screen.line("yes")
    screen.wait_for("[worker1] 42")


def test_ctrl_d_at_a_question_gives_up_that_one(dust: Start, strange: str) -> None:
    screen = started(dust, "-F", strange)
    screen.line("@ echo $((40 + 2))")
    for number in (1, 2):
        screen.wait_for("yes/no", number)
        screen.send("\x04")
    screen.wait_for("yes/no", 3)
    screen.line("yes")
    text = screen.wait(lambda text: text.endswith("1 ready 2 down$"))
    assert text.count("] 42") == 1
    assert text.count("not answered") >= 1


def test_ctrl_c_at_a_question_ends_a_script(dust: Start, strange: str) -> None:
    screen = dust("-F", strange, "-c", "@ hostname", "-c", "!echo went on", columns=100)
    screen.wait_for("yes/no")
    screen.send("\x03")
    assert screen.wait_for_end() == 130
    assert screen.text.count("yes/no") == 1
    assert "went on" not in screen.text


def test_ctrl_c_at_a_question_of_a_jump_host(dust: Start, strange: str) -> None:
    with open(strange, "a") as file:
        file.write("Host worker*\n  ProxyJump master\n")
    screen = started(dust, "-F", strange)
    screen.line("@worker* hostname")
    screen.wait_for("yes/no")
    screen.send("\x03")
    text = screen.wait(lambda text: text.endswith("2 down$"))
    assert "interrupted" in text
    screen.line("@worker1 echo $((40 + 2))")
    for number in (2, 3):
        screen.wait_for("yes/no", number)
        screen.line("yes")
    screen.wait_for("[worker1] 42")


def test_what_ctrl_c_gives_up_is_said_at_once(dust: Start, home: Path) -> None:
    node = next(each for each in LocalBackend(home / "local").nodes() if each.name == "worker2")
    listener = int(node.details["pid"])
    screen = started(dust)
    os.kill(listener, signal.SIGSTOP)
    try:
        screen.line("@worker2 echo never")
        screen.wait_for("1 connecting$")
        screen.send("\x03")
        text = screen.wait(lambda text: text.endswith("1 down$"))
        assert "\nworker2: interrupted, " in text
        assert "unreachable" not in text
    finally:
        os.kill(listener, signal.SIGCONT)


# --- a plugin that ends by itself


ENDS = '''
"""ends - commands that end as a program does."""

import sys

from dust.command import Dust, command


@command
def ends(dust: Dust, how: str) -> None:
    """End.

    Usage: ends <how>
    """
    if how == "message":
        sys.exit("there is no more")
    if how == "exit":
        exit()
    sys.exit(int(how))
'''


def test_a_plugin_that_exits_ends_its_command_alone(dust: Start, home: Path) -> None:
    plugin = home / "plugins" / "ends.py"
    plugin.parent.mkdir(exist_ok=True)
    plugin.write_text(ENDS)
    try:
        screen = started(dust)
        screen.line("@worker1 cd /tmp")
        screen.wait_for("1 ready$")
        screen.line("ends 3")
        screen.wait_for(f"sys.exit(3) ({plugin}:19)")
        screen.line("ends message")
        screen.wait_for(f"there is no more ({plugin}:16)")
        screen.line("ends exit")
        screen.wait_for(f"({plugin}:18)")
        screen.line("@worker1 pwd")
        screen.wait_for("[worker1] /tmp")
        script = dust("-c", "ends 3", "-c", "!echo went on")
        assert script.wait_for_end() == 3
        assert "went on" in script.text
    finally:
        plugin.unlink()
