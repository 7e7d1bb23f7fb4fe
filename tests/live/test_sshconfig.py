"""sshconfig, and what plain ssh and git make of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dust.backends.local import LocalBackend

DUST = [sys.executable, str(Path(__file__).resolve().parents[2] / "bin" / "dust")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with two running nodes, one of them of an odd name."""
    home = tmp_path_factory.mktemp("home")
    backend = LocalBackend(home / "local")
    changes = backend.create(["n1", "n2"])
    assert not [change for change in changes if change.error], changes
    yield home
    backend.terminate([node.id for node in backend.nodes()])


def dust(home: Path, *lines: str) -> str:
    words = [word for line in lines for word in ("-c", line)]
    done = subprocess.run(
        [*DUST, *words], env={**os.environ, "DUST_HOME": str(home)}, text=True, timeout=60,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_blocks_are_those_that_are_written(home: Path) -> None:
    shown = dust(home, "sshconfig")
    assert shown.startswith("Host n1")
    dust(home, "sshconfig write")
    written = home / "ssh_config"
    assert written.read_text().partition("\n")[2] == shown
    assert written.stat().st_mode & 0o777 == 0o600


def test_plain_ssh_and_git_reach_a_node_by_its_name(home: Path, tmp_path: Path) -> None:
    said = dust(home, "sshconfig write")
    users = tmp_path / "config"  # the user's own, with the line that was said
    users.write_text(said.splitlines()[1].partition(": ")[2] + "\n")
    ssh = ["ssh", "-F", str(users), "-o", "BatchMode=yes"]
    done = subprocess.run([*ssh, "n1", "echo $DUST_NODE; git init -q repository; pwd"],
        capture_output=True, text=True, timeout=30)  # fmt: skip
    assert done.returncode == 0, done.stderr
    node_home = done.stdout.splitlines()[-1]
    cloned = subprocess.run(
        ["git", "clone", "-q", f"n1:{node_home}/repository", str(tmp_path / "clone")],
        env={**os.environ, "GIT_SSH_COMMAND": f"ssh -F '{users}' -o BatchMode=yes"},
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert cloned.returncode == 0, cloned.stderr
    assert (tmp_path / "clone" / ".git").is_dir()


def test_rsync_reaches_a_node_by_its_name(home: Path, tmp_path: Path) -> None:
    said = dust(home, "sshconfig write")
    users = tmp_path / "config"
    users.write_text(said.splitlines()[1].partition(": ")[2] + "\n")
    (tmp_path / "text").write_text("for n2\n")
    shell = f"ssh -F '{users}' -o BatchMode=yes"
    for words in ([tmp_path / "text", "n2:"], ["n2:text", tmp_path / "back"]):
        done = subprocess.run(
            ["rsync", "-e", shell, *map(str, words)], capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "back").read_text() == "for n2\n"


def test_it_is_kept_current_once_it_was_written(home: Path) -> None:
    written = home / "ssh_config"
    written.unlink(missing_ok=True)
    dust(home, "refresh")
    assert not written.exists()
    dust(home, "sshconfig write")
    before = written.read_text()
    written.write_text(before.splitlines()[0] + "\n")
    dust(home, "refresh")
    assert written.read_text() == before
    theirs = "# the user's own\n"
    written.write_text(theirs)
    dust(home, "refresh")
    assert written.read_text() == theirs


def test_a_file_that_dust_did_not_write_is_left_alone(home: Path) -> None:
    own = home / "ssh_config"
    own.write_text("Host mine\n    User me\n")
    done = subprocess.run(
        [*DUST, "-c", "sshconfig write"], env={**os.environ, "DUST_HOME": str(home)}, text=True,
        capture_output=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"dust: {own}: dust did not write this file: rename or remove it first\n"
    assert own.read_text() == "Host mine\n    User me\n"
    own.unlink()
