"""Control sockets: the ssh of a session carries the copies to its node too, and one-shots.

All are in one folder. A name begins with this machine and the process that it belongs to, so that
what a killed one has left is known for it, also where a home is shared by many machines. Those
that belong to no process are of connections that are kept for a time: their names are %C alone.
A link of such a name leads to a session's socket.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from dust import config, ssh
from dust.errors import DustError
from dust.limits import LONGEST_SOCKET

_MACHINE = f"{crc32(os.uname().nodename.encode()) & 0xFFFF:04x}"
#: What follows the process's number in the name of a socket that one-shots may use, before %C.
_LENT = ".s"


class Sharing:
    """The sockets of this dust; where they find no room, nothing is shared.

    One that `lends` has one-shots of others go through its sessions' connections: it should not
    end unasked.
    """

    def __init__(self, *, lends: bool) -> None:
        self._lends = lends
        self._prefix = f"{_MACHINE}{os.getpid():x}."
        self._written: list[Path] = []
        self._asking = 0
        self._folder: Path | None = None
        self._socket = ""
        with suppress(DustError, OSError):  # a home that cannot be written
            folder = config.folder("cm")
            _sweep(folder)
            self._folder = folder
            self._socket = ssh.socket(folder, self._prefix[:-1] + _LENT if lends else self._prefix)

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

    @property
    def lent(self) -> bool:
        """Whether one-shots are under way that may go through these connections."""
        if self._folder is None or not self._lends:
            return False
        try:
            fd = os.open(self._folder, os.O_RDONLY)
        except OSError:  # somebody has removed it
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # not every file system has locks
            return False
        finally:
            os.close(fd)
        return False

    def close(self) -> None:
        """Remove what was written; sockets are removed by their ssh."""
        for path in self._written:
            with suppress(OSError):
                path.unlink()
        if self._folder is not None:
            with suppress(OSError):
                _unlink(self._folder, lambda target: target.startswith(self._prefix))


def borrow(folder: Path) -> None:
    """Have calls that keep connections in this folder (`ssh.shared`) use those of sessions too.

    If there are any, `Sharing.lent` is true until this process ends. Raises OSError.
    """
    _unlink_dangling(folder)
    ours = [name for name in os.listdir(folder) if _LENT in name and _owner(name)]
    lent = [name for name in ours if _lives(_owner(name))]
    for name in lent:
        at = name.partition(_LENT)[2]
        if "." not in at:  # or ssh has just begun to make it
            with suppress(FileExistsError):  # one that is kept, or another session's
                os.symlink(name, folder / at)
    if lent:
        with suppress(OSError):  # not every file system has locks
            fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_SH)


def _sweep(folder: Path) -> None:
    """Remove what belongs to processes of this machine that are gone."""
    for name in os.listdir(folder):
        if (owner := _owner(name)) and not _lives(owner):
            (folder / name).unlink(missing_ok=True)
    _unlink_dangling(folder)


def _unlink_dangling(folder: Path) -> None:
    """Remove links to sockets that are gone: ssh would take them for others' sockets."""
    _unlink(folder, lambda target: not os.path.lexists(folder / target))


def _unlink(folder: Path, unwanted: Callable[[str], bool]) -> None:
    for entry in os.scandir(folder):
        if entry.is_symlink() and unwanted(os.readlink(entry)):
            Path(entry).unlink(missing_ok=True)


def _owner(name: str) -> int:
    """The process of this machine that it belongs to, gone or not; 0 if it is no such name."""
    owner, dot, _ = name.partition(".")
    try:
        return int(owner.removeprefix(_MACHINE), 16) if dot and owner.startswith(_MACHINE) else 0
    except ValueError:  # somebody else's file
        return 0


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True
