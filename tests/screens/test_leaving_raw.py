"""What raw mode leaves the terminal in, on one that has two screens: nothing is lost or hidden."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conftest import ROOT
from tmux import Tmux

CTRL_C3 = "\x03\x03\x03"
LEFT = "\nworker1: left as it is; @worker1 goes back to it\n"
BACK = "\nworker1: back in the cluster shell\n"
#: Changes all that the reset is to put right, but for the alternate screen.
DISTURB = r"printf '\033[5;10r\033[?6h\033[4h\033[?1;1000;1006h\033[?7;25l\033='"


@pytest.fixture
def tmux(home: Path) -> Iterator[Tmux]:
    """dust in a tmux."""
    with TemporaryDirectory(prefix="d") as folder:
        terminal = Tmux(Path(folder) / "tmux", {"DUST_HOME": str(home), "COLORTERM": ""})
        terminal.line(shlex.join([sys.executable, str(ROOT / "bin" / "dust")]))
        terminal.wait(lambda text: text.endswith("dust:local$"))
        yield terminal
        terminal.close()


def enter(tmux: Tmux, node: str = "worker1") -> None:
    """Raw mode, with a prompt that is known."""
    tmux.line(f"@{node}")
    tmux.wait(lambda text: re.search(rf"{node}:\S*[$#]\Z", text))


def vim(tmux: Tmux) -> None:
    tmux.line("vim -u NONE")
    tmux.wait_for("\n~", 10)
    tmux.until(lambda: tmux.changed.get("alternate_on"))


def below(pid: int) -> list[int]:
    """All processes that come from one."""
    ps = subprocess.run(["ps", "-eo", "pid=,ppid="], check=True, capture_output=True, text=True)
    pairs = [tuple(map(int, line.split())) for line in ps.stdout.splitlines()]
    found = [pid]
    for parent in found:
        found += [child for child, of in pairs if of == parent]
    return found[1:]


def arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def ssh_of(tmux: Tmux, node: str) -> int:
    (found,) = (pid for pid in below(tmux.child) if node in arguments(pid))
    return found


def serving(tmux: Tmux) -> int:
    """What serves the session on its node."""
    tmux.line("echo serves $PPID.")
    text = tmux.wait(lambda text: re.search(r"\nserves \d+\.", text))
    return int(re.findall(r"\nserves (\d+)\.", text)[0])


@pytest.mark.parametrize("first", ["vim", "board"])
def test_what_is_on_the_screen_stays(tmux: Tmux, first: str) -> None:
    enter(tmux)
    if first == "vim":
        vim(tmux)
        tmux.send(":q\r")
        tmux.until(lambda: not tmux.changed.get("alternate_on"))
    tmux.send(CTRL_C3)
    tmux.wait_for(LEFT)
    if first == "board":
        tmux.line("board")
        tmux.wait_for("q leave")
        tmux.send("q")
        tmux.wait(lambda text: "q leave" not in text)
    enter(tmux)
    tmux.line("seq 100 120")
    tmux.wait_for("\n120\n")
    tmux.send(CTRL_C3)
    text = tmux.wait(lambda text: text.count(LEFT) == 2 and text.endswith("1 ready$"))
    assert "".join(f"{number}\n" for number in range(100, 121)) in text
    assert text.index("\n120\n") < text.rindex(LEFT)


def test_lines_go_on_below_what_a_program_has_drawn(tmux: Tmux) -> None:
    enter(tmux)
    tmux.line("top -d 0.2")
    tmux.wait(lambda text: text.count("\n") >= 20 and "PID USER" in text)
    tmux.send(CTRL_C3)
    tmux.wait_for(LEFT)
    text = tmux.wait(lambda text: text.endswith("1 busy$"))
    assert text.partition("PID USER")[2].count("\n") >= 15  # it is all there still
    assert not tmux.changed


def test_a_lost_connection_hides_nothing_and_is_told_with_its_reason(
    tmux: Tmux, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    tmux.line(f"@worker2 read x < {gate}; echo LA''TE; false")
    tmux.wait_for("1 busy$")
    enter(tmux)
    pid = serving(tmux)
    vim(tmux)
    gate.write_text("now\n")
    os.kill(pid, signal.SIGKILL)
    text = tmux.wait(lambda text: BACK in text and "1 down" in text.rpartition("\n")[2])
    assert re.search(r"\nworker1: Connection \S.* by remote host\.\n", text)
    assert not tmux.changed
    tmux.wait_for("\n[worker2] LATE\n")
    tmux.wait_for("\nworker2: exit 1")


def test_without_a_program_the_remark_stands_below_what_ssh_says(tmux: Tmux) -> None:
    enter(tmux)
    tmux.line("kill -9 $PPID")
    text = tmux.wait(lambda text: BACK in text and "1 down" in text.rpartition("\n")[2])
    assert len(re.findall(r"(?m)Connection to .* by remote host\.$", text)) == 2


@pytest.mark.parametrize("alternate", [b"", b"1049", b"47"])
def test_modes_are_put_right_when_it_is_left(tmux: Tmux, alternate: bytes) -> None:
    enter(tmux)
    switch = rf"printf '\0337\033[?{alternate.decode()}h'; " if alternate else ""
    tmux.line(f"{switch}{DISTURB}; sleep 1000")
    tmux.until(lambda: tmux.changed.get("scroll_region_upper"))
    tmux.send(CTRL_C3)
    tmux.wait_for(LEFT)
    assert not tmux.changed
    tmux.line("@worker2 seq 30")
    numbers = "".join(f"[worker2] {number}\n" for number in range(1, 31))
    text = tmux.wait(lambda text: numbers in text and text.endswith("1 ready 1 busy$"))
    assert text.index(LEFT) < text.index(numbers)


def test_a_region_alone_leaves_the_cursor_where_it_is(tmux: Tmux) -> None:
    enter(tmux)
    tmux.line(r"printf '\0337\033[1;10r\0338before\n'; sleep 1000")
    tmux.wait_for("\nbefore")
    tmux.send(CTRL_C3)
    tmux.wait_for(f"\nbefore\n\n{LEFT[1:]}")
    assert not tmux.changed


def test_modes_are_put_right_when_the_worker_is_killed(tmux: Tmux) -> None:
    enter(tmux)
    ssh = ssh_of(tmux, "worker1")
    vim(tmux)
    worker = int(Path(f"/proc/{ssh}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(worker, signal.SIGKILL)
    text = tmux.wait(lambda text: BACK in text and "1 down" in text.rpartition("\n")[2])
    assert "\nworker1: its worker ended\n" in text
    assert not tmux.changed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_modes_are_put_right_when_dust_is_ended(tmux: Tmux, number: int) -> None:
    """Also while the program goes on to change them."""
    enter(tmux)
    alternate = r"printf '\033[?1049h'"
    tmux.line(f"while :; do {alternate}; {DISTURB}; done")
    tmux.until(lambda: "alternate_on" in tmux.changed and "origin_flag" in tmux.changed)
    os.kill(tmux.child, number)
    tmux.wait(lambda text: text.endswith("%"))
    assert not tmux.changed
