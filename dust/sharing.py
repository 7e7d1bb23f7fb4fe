"""Control sockets: the ssh of a session carries the copies to its node too.

All are in one folder. A name begins with this machine and the process that it belongs to, so that
what a killed one has left is known for it, also where a home is shared by many machines.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from dust import config, ssh
from dust.errors import DustError
from dust.limits import LONGEST_SOCKET

_MACHINE = f"{crc32(os.uname().nodename.encode()) & 0xFFFF:04x}"


class Sharing:
    """The sockets of this dust; where they find no room, nothing is shared."""

    def __init__(self) -> None:
        self._prefix = f"{_MACHINE}{os.getpid():x}."
        self._written: list[Path] = []
        self._asking = 0
        self._folder: Path | None = None
        self._socket = ""
        with suppress(DustError, OSError):  # a home that cannot be written
            folder = config.folder("cm")
            _sweep(folder)
            self._folder = folder
            self._socket = ssh.socket(folder, self._prefix)

    def sessions(self) -> dict[str, str]:
        """Defaults by which the ssh of a session takes in later calls, while it lives.

        It never joins another one: two names of one host are two sessions.
        """
        return {"ControlMaster": "yes", "ControlPath": self._socket} if self._socket else {}

    def others(self) -> dict[str, str]:
        """Defaults by which a call goes through the session's connection, if there is one."""
        return {"ControlMaster": "no", "ControlPath": self._socket} if self._socket else {}

    def path(self, name: str) -> str:
        """The path of a socket of that name, or "" where it finds no room."""
        path = f"{self._folder}/{self._prefix}{name}"
        return path if self._socket and ssh.fits(path) else ""

    def write(self, text: str) -> Path | None:
        """A file for this dust alone, or None where there is no place for it."""
        if self._folder is None:
            return None
        path = self._folder / f"{self._prefix}conf{len(self._written)}"
        try:
            path.unlink(missing_ok=True)
            path.touch(0o600, exist_ok=False)
            path.write_text(text)
        except OSError:
            return None
        self._written.append(path)
        return path

    def askpass(self) -> str:
        """The path of a further socket by which an ssh may ask, or "" where there is no room."""
        if self._folder is None:
            return ""
        self._asking += 1
        path = f"{self._folder}/{self._prefix}ask{self._asking}"
        return path if len(os.fsencode(path)) <= LONGEST_SOCKET else ""

    def close(self) -> None:
        """Remove what was written; sockets are removed by their ssh."""
        for path in self._written:
            with suppress(OSError):
                path.unlink()


def _sweep(folder: Path) -> None:
    """Remove what belongs to processes of this machine that are gone."""
    for name in os.listdir(folder):
        owner, dot, _ = name.partition(".")
        if dot and owner.startswith(_MACHINE) and not _lives(owner[len(_MACHINE) :]):
            (folder / name).unlink(missing_ok=True)


def _lives(number: str) -> bool:
    with suppress(PermissionError):  # somebody else's
        try:
            os.kill(int(number, 16), 0)
        except (ProcessLookupError, OverflowError):
            return False
    return True
