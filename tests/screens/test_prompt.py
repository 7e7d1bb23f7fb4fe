"""The prompt, by what stands on the screen."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import stat
import termios
import time
from pathlib import Path

import pytest
from conftest import Start
from screen import Screen

from dust.backends.local import LocalBackend


def test_line_and_state(dust: Start) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("@worker* cd /tmp")
    screen.wait_for("2 ready$")
    screen.line("@worker* pwd")
    text = screen.wait(lambda text: text.count("] /tmp") == 2 and text.endswith("2 ready$"))
    assert sorted(line for line in text.splitlines() if line.startswith("[")) == [
        "[worker1] /tmp",
        "[worker2] /tmp",
    ]


def test_output_comes_above_what_is_typed(dust: Start, home: Path) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    gate = home / "gate"
    os.mkfifo(gate)
    screen.line(f"@worker1 read x < {gate}; echo opened $x")
    screen.wait_for("1 busy$")
    screen.send("half a li")
    screen.wait_for("$ half a li")
    gate.write_text("now\n")
    text = screen.wait_for("[worker1] opened now")
    screen.wait_for("1 ready$ half a li")
    assert screen.last.endswith("1 ready$ half a li"), text
    screen.send("ne")
    screen.wait_for("half a line")


def test_how_far_a_line_is_stands_above_the_prompt_while_it_lasts(dust: Start, home: Path) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    gate = home / "late"
    os.mkfifo(gate)
    screen.line(f"@worker* [ {{name}} = worker1 ] || read x < {gate}; echo over")
    screen.wait_for("1/2 done")
    screen.send("half a li")
    screen.wait_for("1 busy$ half a li")
    assert "waiting for worker2\ndust:" in screen.text
    gate.write_text("now\n")
    screen.wait(lambda text: text.endswith("2 ready$ half a li"))
    assert "done" not in screen.text
    screen.send("\x03")
    screen.line("set progress off")
    screen.line("@worker* sleep 1.5; echo slept")
    screen.wait_for("slept", 3)  # the line that was typed too
    assert b"0/2 done" not in screen.raw


def test_ctrl_r_searches_the_history(dust: Start) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("!echo fi''rst")
    screen.wait_for("first")
    screen.line("!echo sec''ond")
    screen.wait_for("second")
    screen.send("half a li")
    screen.wait_for("$ half a li")
    screen.send("\x12fi''")
    screen.wait_for("$ !echo fi''rst\nI-search backward: fi''")
    screen.send("\x03")
    screen.wait(lambda text: text.endswith("$ half a li"))
    screen.send("\x12fi''")
    screen.wait_for("$ !echo fi''rst\nI-search backward: fi''")
    screen.send("\r")
    screen.wait(lambda text: text.endswith("$ !echo fi''rst\nfirst\ndust:local$"))


def test_a_session_that_ended_with_its_node_is_not_counted(dust: Start, home: Path) -> None:
    (change,) = LocalBackend(home / "local").create(["brief"])
    assert not change.error
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("@brief,worker1 true")
    screen.wait(lambda text: text.endswith("2 ready$"))
    screen.line("terminate -y brief")
    screen.wait_for("brief: terminated")
    screen.wait(lambda text: text.endswith("dust:local 1 ready$"))


def test_ctrl_c_clears_then_interrupts(dust: Start) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("@worker1 sleep 1000")
    screen.wait_for("1 busy$")
    screen.send("garbage")
    screen.wait_for("garbage")
    screen.send("\x03")
    screen.wait(lambda text: text.endswith("1 busy$"))
    screen.send("\x03")
    screen.wait_for("worker1: exit 130")
    screen.wait(lambda text: text.endswith("1 ready$"))


def test_ctrl_c_says_what_it_does_not_reach(dust: Start) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("@worker1 sleep 300")
    screen.wait_for("1 busy$")
    screen.line("@worker2 true")
    screen.wait_for("1 ready 1 busy$")
    screen.send("\x03")
    screen.wait_for("the last line has ended; `interrupt` reaches worker1")
    screen.line("interrupt")
    screen.wait(lambda text: text.endswith("2 ready$"))
    screen.send("\x03")
    screen.line("!echo $((40 + 2))")
    text = screen.wait_for("\n42\n")
    assert text.count("the last line has ended") == 1


def test_answer_reaches_the_program_that_asks(dust: Start) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line('@worker* read -p "Do you want to continue? [Y/n] " x; echo got $x')
    screen.wait_for("2 waiting$")
    screen.line("@work* Y")
    screen.wait_for("[worker1] got Y")
    screen.wait_for("[worker2] got Y")
    screen.wait_for("2 ready$")


@pytest.mark.parametrize("form", ["block", "fold"])
def test_what_is_asked_is_seen_before_output_is(dust: Start, form: str) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line(f"output {form}")
    screen.line("@worker1 printf '\\033[1mSure? [Y/n] \\033[0m'; read x; echo \"<$x>\"")
    screen.wait_for("1 waiting$")
    screen.wait_for("worker1: waits for input: Sure? [Y/n]")
    screen.line("@worker1 Y")
    screen.wait(lambda text: text.endswith("1 ready$"))
    assert screen.text.count("waits for input") == 1


def test_a_secret_can_be_given_up(dust: Start) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line('@worker1 read -p "Password: " x; echo got $x')
    screen.wait_for("1 waiting$")
    screen.line("secret")
    screen.wait_for("for worker1:")
    screen.send("\x03")
    screen.wait_for("\ndust: nothing was sent\n")


def test_unfinished_line_goes_on(dust: Start) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("@worker1 cat <<EOF")
    screen.wait(lambda text: text.endswith(">"))
    screen.line("one 'line")
    screen.line("EOF")
    screen.wait_for("[worker1] one 'line")


def test_pasted_lines_run_one_after_the_other(dust: Start) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    lines = ["@worker1 cd /usr", "@worker1 pwd", "@worker1 for i in 1 2; do", "echo n$i", "done"]
    screen.send("\x1b[200~" + "\n".join(lines) + "\x1b[201~")
    screen.wait_for("done")
    screen.send("\r")
    text = screen.wait_for("[worker1] n2")
    assert "[worker1] /usr" in text
    assert "[worker1] n1" in text


@pytest.mark.parametrize("bracketed", [True, False])
def test_pasted_lines_whose_last_is_unfinished_go_on(dust: Start, bracketed: bool) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    pasted = "!echo lo'cal'\n@worker1 cat <<X"
    screen.send(f"\x1b[200~{pasted}\x1b[201~" if bracketed else pasted.replace("\n", "\r"))
    screen.wait_for("<<X")
    screen.send("\r")
    screen.wait(lambda text: text.endswith(">"))
    screen.line("echo here")
    screen.line("X")
    screen.wait_for("[worker1] echo here")
    assert screen.text.count("\nlocal") == 1


def test_a_backslash_goes_on_to_an_empty_line(dust: Start) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("@worker1 echo a \\")
    screen.wait(lambda text: text.endswith(">"))
    screen.line("")
    screen.wait_for("[worker1] a")


def test_ctrl_z_types_nothing(dust: Start) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("\x1a!echo $((40\x1a + 2))")
    screen.wait_for("\n42\n")


def test_an_empty_line_for_all_that_wait(dust: Start) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("@worker* printf 'Go on? [Y/n] '; read x; echo \"got <$x>\"")
    screen.wait_for("2 waiting$")
    screen.line("enter")
    screen.wait_for("[worker1] got <>")
    screen.wait_for("[worker2] got <>")


def test_ctrl_d_asks_while_something_runs(dust: Start) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("@worker1 sleep 1000")
    screen.wait_for("1 busy$")
    screen.send("\x04")
    screen.wait_for("Leave? [y/N]")
    screen.line("n")
    screen.wait_for("1 busy$", 2)
    screen.send("\x04")
    screen.wait_for("Leave? [y/N]", 2)
    screen.line("y")
    assert screen.wait_for_end() == 0


def test_exit_asks_while_something_runs(dust: Start) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("@worker1 sleep 1000")
    screen.wait_for("1 busy$")
    screen.line("exit 3")
    screen.wait_for("Something still runs on worker1. Leave? [y/N]")
    screen.line("n")
    screen.wait_for("1 busy$", 2)
    screen.line("exit 3")
    screen.wait_for("Leave? [y/N]", 2)
    screen.line("y")
    assert screen.wait_for_end() == 3


def test_exit_asks_while_a_line_waits_for_its_session(dust: Start, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host slow\n  ProxyCommand sleep 600\n")
    screen = dust("-F", str(config))
    screen.wait_for("$")
    screen.line("@slow echo x")
    screen.wait_for("1 connecting$")
    screen.line("exit")
    screen.wait_for("Something still runs on slow. Leave? [y/N]")
    screen.line("y")
    assert screen.wait_for_end() == 0


def test_exit_status(dust: Start) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("exit 3")
    assert screen.wait_for_end() == 3


def test_history_is_kept_private(dust: Start, home: Path) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("!echo marker-1")
    screen.wait_for("marker-1", 2)
    screen.line("exit")
    screen.wait_for_end()
    history = home / "history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert "!echo marker-1\n" in history.read_text()
    again = dust()
    again.wait_for("dust:local$")
    again.send("\x1b[A\x1b[A")
    again.wait_for("$ !echo marker-1")


def test_history_that_cannot_be_written_is_said_once(dust: Start, home: Path) -> None:
    history = home / "history"
    history.unlink(missing_ok=True)
    history.mkdir()
    try:
        screen = dust()
        screen.wait_for("dust:local$")
        screen.line("!echo one")
        screen.wait_for("$", 2)
        screen.line("!echo two")
        screen.wait_for("two", 2)
        assert screen.text.count("history") == 1
    finally:
        history.rmdir()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_with_the_terminal_restored(dust: Start, number: int) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("@worker1 sleep 1000")
    screen.wait_for("1 busy$")
    screen.child.kill(number)
    assert screen.wait_for_end() == 128 + number


@pytest.mark.parametrize(
    ("columns", "prompt"),
    [
        (39, "dust:local 1 ready$ "),
        (38, "dust:local$ "),
        (23, "dust:local$ "),
        (22, "$ "),
        (20, "$ "),
        (19, "$ "),
    ],
)
def test_the_prompt_leaves_room_for_typing(dust: Start, columns: int, prompt: str) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("@worker1 true")
    screen.wait(lambda text: text.endswith("dust:local 1 ready$"))
    screen.resize(24, columns)
    screen.wait(lambda text: text.endswith("\n" + prompt.rstrip()))
    typed = "abcdefghij"
    screen.send(typed)
    room = columns - len(prompt)
    rows = [typed[at : at + room] for at in range(0, len(typed), room)]
    between = "\n" + " " * (len(prompt) - 2) + "> "
    screen.wait(lambda text: text.endswith("\n" + prompt + between.join(rows)))


def test_an_unfinished_line_has_room_too(dust: Start) -> None:
    screen = dust(columns=20)
    screen.wait_for("$")
    screen.line("@worker1 cat <<E")
    screen.wait_for("$ @worker1 cat <<E\n>")
    screen.line("what is typed")
    screen.line("E")
    screen.wait(lambda text: "> what is typed\n> E\n" in text and "[worker1] what" in text)


@pytest.mark.parametrize(("rows", "columns"), [(24, 20), (5, 200)])
def test_odd_sizes(dust: Start, rows: int, columns: int) -> None:
    screen = dust(rows=rows, columns=columns)
    screen.wait_for("$")
    screen.line("@worker1 seq 30")
    screen.wait_for("[worker1] 30")


def test_a_script_has_no_colours(dust: Start, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("@worker1 printf '\\033[31mred\\033[0m\\n'\n@worker1 false\nnope\n")
    screen = dust(str(script))
    assert screen.wait_for_end() == 2
    assert screen.lines[0] == "[worker1] red"
    assert b"\x1b[" not in screen.raw


@pytest.mark.parametrize("kind", ["dumb", ""])
def test_a_terminal_that_can_only_print(dust: Start, kind: str) -> None:
    screen = dust(TERM=kind)
    screen.wait_for("dust:local$")
    screen.line("@worker1 echo from $((40 + 2)); sleep 0.5; echo late")
    screen.wait_for("[worker1] from 42")
    screen.wait(lambda text: text.endswith("\n[worker1] late\ndust:local 1 ready$"))
    screen.line("@worker1 for i in 1 2")
    screen.wait(lambda text: text.endswith("\n>"))
    screen.line("do echo i$i; done; read -p 'Your name? ' x; echo hi $x; sleep 1000")
    screen.wait(lambda text: "] Your name?\n" in text and text.endswith("1 waiting$"))
    screen.line("@worker1 Ann")
    screen.wait(lambda text: "hi Ann\n" in text and text.endswith("1 busy$"))
    screen.send("\x03")
    screen.wait_for("worker1: exit 130")
    screen.line("history")
    screen.wait_for("do echo i$i; done;", 2)
    assert b"\x1b" not in screen.raw
    screen.forget()
    screen.line("@worker1")
    screen.wait_for("worker1:~")
    screen.send("\x03\x03\x03")
    screen.wait_for("\nworker1: left as it is")
    assert not re.search(rb"\x1b\[(\?1049l|r)", screen.raw)
    screen.line("@worker1 sleep 1000")
    screen.wait_for("1 busy$")
    screen.send("\x04")
    screen.wait_for("Something still runs on worker1. Leave?")
    screen.line("y")
    assert screen.wait_for_end() == 0


def test_completion(dust: Start) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("show")
    screen.wait_for("worker2")
    screen.send("@mas\t")
    screen.wait_for("$ @master")
    screen.send(" hostname\r")
    screen.wait_for("[master]")


SLOW = '''"""slow - asks late."""
import os, time
from pathlib import Path
from dust.command import Dust, command
@command
def slow(dust: Dust, path: str) -> None:
    """Ask once a file is there.

    Usage: slow <path>
    """
    os.write(1, b"begun\\n")
    while not Path(path).exists():
        time.sleep(0.01)
    dust.print(f"answer: {dust.ask('Really?')}")
'''


def test_what_is_typed_before_a_question_is_no_answer(
    dust: Start, home: Path, tmp_path: Path
) -> None:
    plugin = home / "plugins" / "slow.py"
    plugin.parent.mkdir(exist_ok=True)
    plugin.write_text(SLOW)
    try:
        screen = dust()
        screen.wait_for("dust:local$")
        screen.line(f"slow {tmp_path}/go")
        screen.wait_for("\nbegun")
        screen.line("y")
        (tmp_path / "go").touch()
        screen.wait_for("Really? [y/N]")
        screen.line("n")
        screen.wait_for("answer: False")
    finally:
        plugin.unlink()


def test_ctrl_c_ends_a_local_command(dust: Start) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("!echo begun; sleep 1000")
    screen.wait(lambda text: text.endswith("\nbegun"))
    screen.send("\x03")
    screen.wait_for("\ndust:local$")
    screen.line("!echo still here")
    screen.wait_for("\nstill here")


# --- keys while nodes print without end


def flooding(dust: Start) -> Screen:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("@ true")
    screen.wait_for("3 ready$")
    screen.line("@ yes")
    screen.skim(lambda text: text.count("] y") > 100)
    return screen


def interrupted(text: str) -> bool:
    return "3 ready$" in text.rpartition("exit 130")[2] and "exit 130" in text


def test_ctrl_c_ends_what_prints_without_end(dust: Start) -> None:
    screen = flooding(dust)
    screen.send("\x03")
    screen.skim(interrupted)
    screen.line("@ echo still here")
    screen.wait_for("] still here", 3)


def test_a_slow_terminal_costs_no_memory(dust: Start) -> None:
    screen = flooding(dust)
    for _ in range(300):  # a terminal that takes 1.6 MB/s
        os.read(screen.child.child_fd, 1 << 14)
        time.sleep(0.01)
    status = Path(f"/proc/{screen.pid}/status").read_text()
    assert int(status.partition("VmRSS:")[2].split()[0]) < 150_000  # kB


def test_a_line_is_typed_below_output_without_end(dust: Start) -> None:
    screen = flooding(dust)
    screen.send("inter")
    screen.skim(lambda text: "3 busy$ inter" in text)
    screen.send("rupt")
    screen.skim(lambda text: "3 busy$ interrupt" in text)
    screen.send("\r")
    screen.skim(interrupted)


def test_a_signal_for_the_whole_terminal_does_not_end_dust(dust: Start) -> None:
    screen = flooding(dust)
    os.kill(screen.pid, signal.SIGINT)
    screen.send("\x03")
    screen.skim(interrupted)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_ends_dust_leaves_the_terminal_as_it_was(dust: Start, number: int) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    assert not termios.tcgetattr(screen.child.child_fd)[3] & termios.ICANON
    os.kill(screen.pid, number)
    assert screen.wait_for_end() == 128 + number
    wanted = termios.ICANON | termios.ECHO | termios.ISIG
    assert termios.tcgetattr(screen.child.child_fd)[3] & wanted == wanted


# --- long texts


def test_a_long_text_is_pasted(dust: Start) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    lines = "".join(f"line {number} of a text\r" for number in range(3000))
    screen.send(f"\x1b[200~@worker1 cat > text <<EOF\r{lines}EOF\x1b[201~")
    screen.wait_for("> EOF")
    screen.send("\r")
    screen.wait(lambda text: text.endswith("1 ready$"))
    screen.line("@worker1 md5sum < text")
    wanted = hashlib.md5("".join(f"line {n} of a text\n" for n in range(3000)).encode())
    screen.wait_for(f"[worker1] {wanted.hexdigest()}")


def test_what_is_typed_line_by_line_continues_where_a_command_has_just_ended(
    dust: Start, home: Path
) -> None:
    """While it was typed, the line was input of the command before."""
    screen = dust()
    screen.wait_for("dust:local$")
    gate = home / "just"
    os.mkfifo(gate)
    screen.line(f"@worker1 read x < {gate}")
    screen.wait_for("1 busy$")
    with gate.open("w") as opened:
        os.kill(screen.pid, signal.SIGSTOP)  # it hears of both at once
        opened.write("now\n")
        screen.send("@worker1 cat <<X\rl1\rX\r")
    os.kill(screen.pid, signal.SIGCONT)
    screen.wait(lambda text: "[worker1] l1" in text and text.endswith("1 ready$"))
    assert "dust: " not in screen.text


ASKS = '''
"""asks - a line of a plugin's own."""

from dust.command import Dust, command


@command
def asks(dust: Dust, target: str) -> None:
    """Run a line.

    Usage: asks <target>
    """
    for result in dust.run(target, "echo mine"):
        dust.print(f"{result.node.name}: {result.lines} {result.word}")
'''


def test_a_plugins_line_is_no_input_of_what_runs(dust: Start, home: Path) -> None:
    plugin = home / "plugins" / "asks.py"
    plugin.parent.mkdir(exist_ok=True)
    plugin.write_text(ASKS)
    try:
        screen = dust()
        screen.wait_for("dust:local$")
        screen.line("@worker* true")
        screen.wait_for("2 ready")
        screen.line("@worker1 cat")
        screen.wait_for("1 busy")
        screen.line("asks worker*")
        screen.wait_for("worker1: something else runs there, waiting")
        screen.send("\x03")
        screen.wait_for("worker1: [] interrupted\nworker2: ['mine'] exit 0")
        screen.line("@worker1 still here")
        screen.wait_for("[worker1] still here")
        assert "[worker1] echo mine" not in screen.text
    finally:
        plugin.unlink()


def test_an_idle_prompt_sleeps(dust: Start) -> None:
    def wake_ups(pid: int) -> list[str]:
        return re.findall(r"(?m)^voluntary_ctxt.*$", Path(f"/proc/{pid}/status").read_text())

    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("@worker* hostname")
    screen.wait_for("2 ready$")
    deadline, before = time.monotonic() + 30, [""]
    while before != (before := wake_ups(screen.pid)):
        assert time.monotonic() < deadline
        time.sleep(1.2)  # is the time in which it must not wake up
