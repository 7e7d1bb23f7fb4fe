"""Control sockets in a home that several machines share."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from dust import sharing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What this process lends, what a gone one has left, and what another machine's dust lends."""
    machine = sharing._MACHINE
    other = f"{int(machine, 16) ^ 1:04x}"
    gone = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(gone, 0)
    owners = f"{machine}{os.getpid():x}", f"{machine}{gone:x}", f"{other}{os.getpid():x}"
    for owner, connection in zip(owners, ("here", "left", "there"), strict=True):
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(f"{tmp_path}/{owner}.s{connection}")
    return tmp_path


def test_only_what_lives_on_this_machine_is_borrowed(folder: Path) -> None:
    sharing.borrow(folder)
    links = [path.name for path in folder.iterdir() if path.is_symlink()]
    assert links == ["here"]


def test_only_what_is_gone_on_this_machine_is_swept_away(folder: Path) -> None:
    sharing._sweep(folder)
    assert sorted(path.name.partition(".s")[2] for path in folder.iterdir()) == ["here", "there"]
