"""The ssh examples of Dust's first description, typed as they are printed there."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from screen import Screen

from dust.backends.local import LocalBackend

WORKERS = ["worker0", "worker1", "worker2"]

# What the examples expect on a node. Stands in for a machine whose packages may be changed: a sudo
# that asks as apt-get does.
SUDO = """#!/bin/sh
echo "After this operation, 5,342 kB of additional disk space will be used."
printf 'Do you want to continue? [Y/n] '
read answer
echo "answer $answer"
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cluster of the examples."""
    home = tmp_path_factory.mktemp("seed")
    backend = LocalBackend(home / "local")
    changes = backend.create(["master", *WORKERS], cluster="slurm1", tags={"env": "dev"})
    assert not [change.error for change in changes if change.error]
    folder = home / "bin"
    folder.mkdir()
    (folder / "sudo").write_text(SUDO)
    (folder / "sudo").chmod(0o755)
    yield home
    backend.terminate([node.id for node in backend.nodes()])


@pytest.fixture
def dust(home: Path) -> Iterator[Screen]:
    argv = [sys.executable, str(ROOT / "bin" / "dust"), "--backend", "local"]
    env = {**os.environ, "DUST_HOME": str(home)}
    with Screen(argv, env, rows=50, columns=100) as screen:
        screen.wait_for("dust:local$")
        yield screen


def run(screen: Screen, line: str, count: int) -> list[str]:
    """Type a line, wait for that many labelled lines; returns them in order."""
    screen.forget()
    screen.line(line)
    screen.wait(lambda text: len(re.findall(r"^\[", text, re.M)) >= count)
    return sorted(line for line in screen.lines if line.startswith("["))


def ready(screen: Screen, line: str, count: int) -> None:
    """Type a line that prints nothing and wait until that many sessions are ready again."""
    screen.forget()
    screen.line(line)
    screen.wait(lambda text: "connecting" not in text and text.endswith(f" {count} ready$"))


def labelled(lines: list[str], node: str) -> list[str]:
    return [line.partition("] ")[2] for line in lines if line.startswith(f"[{node}]")]


def test_run_on_all_and_keep_the_directory(dust: Screen) -> None:
    run(dust, "@ pwd  \t# run the pwd command over ssh on all running nodes", 4)
    ready(dust, "@worker* cd /tmp", 4)
    assert run(dust, "@worker* pwd", 3) == [f"[{name}] /tmp" for name in WORKERS]
    ready(dust, "@state=running cd /etc        # select nodes by property for ssh commands", 4)
    assert run(dust, "@ pwd", 4) == [f"[{name}] /etc" for name in ["master", *WORKERS]]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("@worker* uptime", WORKERS),
        ("@worker\\* uptime", WORKERS),
        ("@tags=env:dev uptime", ["master", *WORKERS]),
        ("@cluster=slurm1 uptime", ["master", *WORKERS]),
        ("@worker[0-2]  uptime", WORKERS),
        ("@w\\*  uptime", WORKERS),
        ("@state=run\\*  uptime", ["master", *WORKERS]),
    ],
)
def test_targets(dust: Screen, line: str, names: list[str]) -> None:
    lines = run(dust, line, len(names))
    assert [line.partition("]")[0][1:] for line in lines] == names
    assert all("load average" in line for line in lines)


def test_labelled_lines(dust: Screen) -> None:
    expected = Path("/etc/resolv.conf").read_text().splitlines()[-2:]
    lines = run(dust, "@worker\\* tail -2 /etc/resolv.conf", 3 * len(expected))
    for name in WORKERS:
        assert sorted(labelled(lines, name)) == sorted(line.rstrip() for line in expected)


def test_working_set(dust: Screen) -> None:
    dust.line("use slurm1")
    dust.wait_for("dust:slurm1$")
    there = sorted(os.listdir("/opt"))
    lines = run(dust, "@ ls -1 /opt; echo end", 4 * (len(there) + 1))
    for name in ["master", *WORKERS]:
        assert labelled(lines, name) == sorted([*there, "end"])
    dust.forget()
    dust.line("use *")
    dust.wait(lambda text: text.rpartition("\n")[2].startswith("dust:local "))


def test_background_output_comes_later(dust: Screen) -> None:
    run(dust, "@worker0 sleep 10 && echo '10 second sleep done!' &", 1)
    lines = run(dust, "@worker0 ls -d /var/log", 1)
    assert lines == ["[worker0] /var/log"]
    dust.wait_for("[worker0] 10 second sleep done!", seconds=30)


def test_answer_to_many(dust: Screen, home: Path) -> None:
    ready(dust, f"@worker* PATH={home}/bin:$PATH", 3)
    dust.line("@worker\\* sudo apt-get install nginx")
    text = dust.wait_for("Do you want to continue? [Y/n]", 3)
    for name in WORKERS:
        assert f"[{name}] After this operation, 5,342 kB of additional disk space" in text
        assert f"[{name}] Do you want to continue? [Y/n]" in text
    dust.wait_for("3 waiting$")
    lines = run(dust, "@work\\* Y", 3)
    assert lines == [f"[{name}] answer Y" for name in WORKERS]


def test_raw_mode_is_the_same_session(dust: Screen) -> None:
    ready(dust, "@worker* cd /tmp", 3)
    dust.forget()
    dust.line("@worker0")
    dust.wait(lambda text: re.search(r"worker0:/tmp[#$]$", text))
    dust.line("pwd")
    dust.wait_for("\n/tmp\n")
    dust.send("\x03\x03\x03")
    dust.wait_for("left as it is")
    assert run(dust, "@worker0 pwd", 1) == ["[worker0] /tmp"]


def test_stop_and_start(dust: Screen) -> None:
    dust.line("stop master")
    dust.wait_for("[y/N]")
    dust.line("y")
    dust.wait_for("dust:local$", 2)
    lines = run(dust, "@state=running  uptime", 3)
    assert [line.partition("]")[0][1:] for line in lines] == WORKERS
    dust.forget()
    dust.line("show state=stopped")
    dust.wait(lambda text: "master" in text and text.endswith("ready$"))
    dust.line("start state=stop*       # filters can have wildcards")
    dust.wait_for("[y/N]", 1)
    dust.line("y")
    dust.wait(lambda text: text.endswith("ready$"))
    assert len(run(dust, "@ pwd", 4)) == 4
