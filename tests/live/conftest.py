"""Nodes that stay for the tests of a module, and sessions that each test finds ready."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from localshell import PROGRAMS, program

from dust.backends.local import LocalBackend
from live.driver import Driver, driving, nodes
from live.ownssh import Place

TOOLS = ("ssh", "sshd", "ssh-keygen", "python3", *PROGRAMS.values())


# Where the tests run without a terminal it may be ignored, and programs keep to that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    """What these tests call is there: a test that is left out would look like one that passed."""
    path = "/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", "")
    missing = [tool for tool in TOOLS if not shutil.which(tool, path=path)]
    assert not missing, f"install {', '.join(missing)}"


def _prepare(_: str, home: Path) -> None:
    (home / ".zshrc").touch()  # or zsh asks what to put there


@pytest.fixture(scope="module")
def login_shells(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A node for every login shell, named after it."""
    directory = tmp_path_factory.mktemp("shells")
    shells = {name: program(name, directory) for name in PROGRAMS}
    with nodes(directory / "nodes", shells, shells, _prepare) as backend:
        with driving(backend.nodes(), directory / "driver") as driver:
            yield driver


@pytest.fixture
def shells(login_shells: Driver) -> Driver:
    """The same with every session ready and at home, whatever the last test left behind."""
    links = login_shells.coordinator.links
    stuck = [n for n in login_shells.nodes.values() if n.id in links and links[n.id].runs]
    login_shells.coordinator.close(stuck)
    login_shells.open()
    login_shells.run("cd")
    login_shells.events.printed.clear()
    return login_shells


@pytest.fixture
def place(backend: LocalBackend, tmp_path: Path) -> Iterator[Place]:
    """An ssh_config of the user's own, on the nodes of the file that asks."""
    with TemporaryDirectory(prefix="d") as home:
        yield Place(tmp_path, Path(home), backend.nodes())
