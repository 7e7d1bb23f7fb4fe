"""Raw mode, by what stands on the screen and what the terminal is left in."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Start
from screen import Screen

from dust.backends.local import LocalBackend

CTRL_C3 = "\x03\x03\x03"
PROMPT = "worker1:"


@pytest.fixture
def raw(dust: Start) -> Iterator[Screen]:
    """dust, in raw mode on worker1."""
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("@worker1 cd /tmp; export MINE=yes; PS1='raw:\\w% '")
    screen.wait_for("1 ready$")
    screen.line("@worker1 PS1='x'; __d1='worker1:\\w% '")
    screen.wait_for("1 ready$", 2)
    screen.line("@worker1")
    screen.wait_for("worker1:/tmp%")
    yield screen


def cooked(screen: Screen) -> bool:
    """Whether the terminal is as a shell leaves it for a program: lines, echo, signals."""
    flags = termios.tcgetattr(screen.child.child_fd)[3]
    return all(flags & flag for flag in (termios.ICANON, termios.ECHO, termios.ISIG))


def children(name: str, of: int) -> list[int]:
    """The processes below `of` whose command line holds `name`."""
    found = []
    ps = ["ps", "-ww", "-eo", "pid,ppid,args"]
    table = subprocess.run(ps, capture_output=True, text=True, check=True).stdout
    parents = {}
    for line in table.splitlines()[1:]:
        pid, parent, args = line.split(None, 2)
        parents[int(pid)] = int(parent)
        if name in args:
            found.append(int(pid))

    def below(pid: int) -> bool:
        while pid := parents.get(pid, 0):
            if pid == of:
                return True
        return False

    return [pid for pid in found if below(pid)]


def test_same_session_with_prompt_echo_and_editing(raw: Screen) -> None:
    raw.line("echo $MINE $((6*7))")
    raw.wait_for("yes 42")
    raw.send("echo abX\x7fc\r")
    raw.wait_for("\nabc")
    raw.line("cd /usr")
    raw.wait_for("worker1:/usr%")
    raw.send(CTRL_C3)
    raw.wait_for("left as it is")
    raw.line("@worker1 pwd; echo $MINE")
    raw.wait_for("[worker1] /usr")
    raw.wait_for("[worker1] yes")


def test_size_follows(raw: Screen) -> None:
    raw.line("stty size")
    raw.wait_for("24 80")
    raw.resize(30, 90)
    raw.line("sleep 0.2; stty size")
    raw.wait(lambda text: "30 90" in text)


def test_vim_survives_leaving_and_coming_back(raw: Screen, home: Path) -> None:
    file = home / "written"
    raw.line(f"vim -u NONE {file}")
    raw.wait_for("~", 10)
    raw.send("ihello from vim\x1b")
    raw.wait_for("hello from vim")
    raw.send(CTRL_C3)
    raw.wait_for("left as it is")
    raw.wait_for("1 busy$")
    raw.forget()
    raw.line("@worker1")
    raw.wait(lambda text: text.count("~") >= 10 and "hello from vim" in text)
    raw.send(":wq\r")
    raw.wait_for("worker1:/tmp%", 1)
    raw.line("echo after")
    raw.wait_for("\nafter")
    assert file.read_text() == "hello from vim\n"
    raw.send(CTRL_C3)
    raw.wait(lambda text: "left as it is" in text and text.endswith("1 ready$"))


def test_less_and_top(raw: Screen) -> None:
    raw.line("seq 1000 | less")
    raw.wait_for("\n22\n")
    raw.send("G")
    raw.wait_for("\n1000\n")
    raw.send(CTRL_C3)
    raw.wait_for("1 busy$")
    raw.forget()
    raw.line("@worker1")
    raw.wait_for("\n999\n1000")
    raw.send("q")
    raw.wait_for("worker1:/tmp%")
    raw.line("top")
    raw.wait_for("PID USER")
    raw.forget()
    raw.send("q")
    raw.wait_for("worker1:/tmp%")
    raw.line("echo bye $((1+1))")
    raw.wait_for("bye 2")


def test_tmux_within(raw: Screen, tmp_path: Path) -> None:
    raw.line(f"tmux -S {tmp_path}/socket -f /dev/null new-session 'PS1=in-tmux% exec dash'")
    raw.wait_for("in-tmux%")
    raw.line("echo sum $((40+2))")
    raw.wait_for("sum 42")
    raw.send(CTRL_C3)
    raw.wait_for("1 busy$")
    raw.forget()
    raw.line("@worker1")
    raw.wait_for("sum 42")
    raw.line("exit")
    raw.wait_for("[exited]")
    raw.line("echo out")
    raw.wait_for("\nout")


def test_one_ctrl_c_reaches_the_program(raw: Screen) -> None:
    raw.line("sh -c 'echo begun; exec sleep 1000'")
    raw.wait_for("\nbegun")
    raw.send("\x03")
    raw.line("echo status $?")
    raw.wait_for("status 130")


def test_a_half_typed_command_is_not_run(raw: Screen, home: Path) -> None:
    raw.send(f"touch {home}/never")
    raw.wait_for("never")
    raw.send(CTRL_C3)
    raw.wait(lambda text: "left as it is" in text and text.endswith("1 ready$"))
    raw.line("@worker1 echo clean")
    raw.wait_for("[worker1] clean")
    assert not (home / "never").exists()


def test_logging_out_ends_the_session(raw: Screen) -> None:
    raw.line("exit 7")
    raw.wait_for("worker1: logged out (exit 7)")
    raw.wait_for("1 down$")
    assert cooked(raw) or raw.text.endswith("$")
    raw.line("@worker1 [ $PWD = /tmp ] || echo anew")
    raw.wait_for("[worker1] anew")


def test_output_of_others_is_kept(dust: Start, home: Path) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    gate = home / "later"
    os.mkfifo(gate)
    screen.line(f"@worker2 read x < {gate}; echo said $x")
    screen.wait_for("1 busy$")
    screen.line("@worker1")
    screen.wait_for("worker1:")
    gate.write_text("meanwhile\n")
    screen.line("echo here $((2+2))")
    screen.wait_for("here 4")
    assert "meanwhile" not in screen.text.partition("here 4")[2]
    screen.send(CTRL_C3)
    screen.wait_for("[worker2] said meanwhile")


def test_restored_when_the_worker_is_killed(raw: Screen) -> None:
    ssh = children("-- worker1", raw.pid)
    assert len(ssh) == 1
    with open(f"/proc/{ssh[0]}/stat") as file:
        worker = int(file.read().rpartition(")")[2].split()[1])
    os.kill(worker, signal.SIGKILL)
    raw.wait_for("worker1: its worker ended")
    raw.wait_for("1 down$")
    raw.line("!stty -a | grep -owe icanon -e echo -e isig")
    raw.wait(lambda text: all(f"\n{word}\n" in text for word in ("icanon", "echo", "isig")))


def test_restored_when_ssh_is_killed(raw: Screen) -> None:
    raw.line("vim -u NONE")
    raw.wait_for("~", 10)
    os.kill(children("-- worker1", raw.pid)[0], signal.SIGKILL)
    raw.wait_for("1 down$")
    raw.line("!stty -a | grep -owe icanon -e echo -e isig")
    raw.wait(lambda text: all(f"\n{word}\n" in text for word in ("icanon", "echo", "isig")))


def test_restored_when_the_node_freezes(dust: Start, home: Path, tmp_path: Path) -> None:
    backend = LocalBackend(home / "local")
    assert backend.create(["frozen"])[0].state == "running"
    node = next(n for n in backend.nodes() if n.name == "frozen")
    pids: list[int] = []
    try:
        screen = dust("-F", str(quick_config(node.ssh, tmp_path)))
        screen.wait_for("$")
        screen.line("@frozen")
        screen.wait_for("frozen:")
        screen.line("echo pids $$ $PPID")
        text = screen.wait(lambda text: re.search(r"\npids \d+ \d+\n", text))
        pids = [int(pid) for pid in re.findall(r"\npids (\d+) (\d+)\n", text)[0]]
        os.kill(pids[1], signal.SIGSTOP)
        screen.wait_for("1 down$")
        assert "frozen: " in screen.text
    finally:
        for pid in pids[1:]:
            os.kill(pid, signal.SIGCONT)
        backend.terminate([node.id])


def quick_config(facts: object, folder: Path) -> Path:
    """An ssh_config for a node, by which a silent connection is noticed in two seconds."""
    assert hasattr(facts, "items")
    lines = ["Host frozen", "  ServerAliveInterval 1", "  ServerAliveCountMax 2"]
    lines += [f'  {key} "{value}"' if " " in value else f"  {key} {value}"
              for key, value in facts.items()]  # fmt: skip
    path = folder / "ssh_config"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_restored_when_dust_is_ended(raw: Screen, number: int) -> None:
    raw.line("vim -u NONE")
    raw.wait_for("~", 10)
    ssh = children("-- worker1", raw.pid)
    before = termios.tcgetattr(raw.child.child_fd)
    assert not before[3] & termios.ICANON
    raw.child.kill(number)
    assert raw.wait_for_end() == 128 + number
    assert cooked(raw)
    deadline = time.monotonic() + 2
    while any(alive(pid) for pid in ssh):
        assert time.monotonic() < deadline


def alive(pid: int) -> bool:
    """Whether a process runs (one that nobody has waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_needs_one_node_and_a_terminal(dust: Start, home: Path) -> None:
    screen = dust()
    screen.wait_for("dust:local$")
    screen.line("@worker*")
    screen.wait_for("raw mode takes one node")
