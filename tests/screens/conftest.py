"""Real nodes, and dust on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from screen import Screen

from dust.backends.local import LocalBackend

ROOT = Path(__file__).resolve().parents[2]
NODES = ["master", "worker1", "worker2"]
Start = Callable[..., Screen]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with three running nodes."""
    home = tmp_path_factory.mktemp("home")
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
