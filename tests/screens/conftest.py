"""Real nodes, and dust on a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from screen import Screen

from dust.backends.local import LocalBackend

ROOT = Path(__file__).resolve().parents[2]
NODES = ["master", "worker1", "worker2"]
Start = Callable[..., Screen]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home with three running nodes, of a name that is short enough for sockets."""
    with TemporaryDirectory(prefix="d") as name:
        yield from _with_nodes(Path(name))


def _with_nodes(home: Path) -> Iterator[Path]:
    backend = LocalBackend(home / "local")
    changes = backend.create(NODES, cluster="demo")
    assert [change.state for change in changes] == ["running"] * 3, changes
    yield home
    backend.terminate([node.id for node in backend.nodes()])


@pytest.fixture
def dust(home: Path) -> Iterator[Start]:
    """Starts dust on a terminal with these arguments; ends what is left of it."""
    started: list[Screen] = []

    def start(*arguments: str, rows: int = 24, columns: int = 80, **env: str) -> Screen:
        argv = [sys.executable, str(ROOT / "bin" / "dust"), *arguments]
        base = {**os.environ, "DUST_HOME": str(home), "TERM": "xterm-256color"}
        started.append(Screen(argv, {**base, **env}, rows, columns))
        return started[-1]

    yield start
    for screen in started:
        screen.child.close(force=True)


@pytest.fixture
def locked(home: Path, tmp_path: Path) -> str:
    """An ssh_config in which the nodes take a key with a passphrase only."""
    key = tmp_path / "locked"
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", str(key)]
    subprocess.run(words, check=True)
    blocks: list[str] = []
    for node in LocalBackend(home / "local").nodes():
        directory = Path(node.details["home"]).parent / "sshd"
        with (directory / "authorized_keys").open("a") as file:
            file.write(key.with_suffix(".pub").read_text())
        blocks.append(block(node.name, {**node.ssh, "IdentityFile": str(key)}))
    return written(tmp_path, blocks)


@pytest.fixture
def strange(home: Path, tmp_path: Path) -> str:
    """An ssh_config in which the keys of the nodes are not known, and asked for."""
    known = {"UserKnownHostsFile": str(tmp_path / "known"), "StrictHostKeyChecking": "ask"}
    nodes = LocalBackend(home / "local").nodes()
    return written(tmp_path, [block(node.name, {**node.ssh, **known}) for node in nodes])


def block(name: str, facts: Mapping[str, str]) -> str:
    return "\n  ".join([f"Host {name}", *(f"{key} {value}" for key, value in facts.items())])


def written(folder: Path, blocks: list[str]) -> str:
    path = folder / "ssh_config"
    path.write_text("\n".join(blocks) + "\n")
    return str(path)
