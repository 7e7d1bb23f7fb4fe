"""The SSH file transfer protocol, version 3: requests as octets, replies as values. Pure.

Names are octets and carry their length, so that any name is only a name. Of OpenSSH's extensions
three are known: `posix-rename`, which replaces a file in one step, `limits`, which says how large a
request may be, and `statvfs`, which says whether a disk is full.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Mapping
from typing import NamedTuple

#: Status codes.
OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE = range(5)
#: How a problem of this machine is marked among those that a server reports.
LOCAL = -1
_TEXTS = {
    NO_SUCH_FILE: "no such file or directory",
    PERMISSION_DENIED: "permission denied",
    8: "its sftp server cannot do that",
}

#: How a file is opened.
READ, WRITE, CREATE, TRUNCATE, EXCLUSIVE = 0x01, 0x02, 0x08, 0x10, 0x20

RENAME, LIMITS, STATVFS = b"posix-rename@openssh.com", b"limits@openssh.com", b"statvfs@openssh.com"

#: What every server takes in one read or write, in bytes, and the most that is asked of any.
BLOCK, LARGEST = 32768, 1 << 18
#: Which attributes of a file are told.
SIZE, OWNER, MODE, TIMES, MORE = 1, 2, 4, 8, 0x80000000

_HEAD = struct.Struct("!IBI")
_INT = struct.Struct("!I")
_AT = struct.Struct("!QI")


class Request(NamedTuple):
    """A packet but for its length and number; `more` bytes of contents follow it by themselves."""

    kind: int
    body: bytes
    more: int = 0

    def packet(self, number: int) -> bytes:
        """The octets of it; the reply carries the same number."""
        return _HEAD.pack(len(self.body) + self.more + 5, self.kind, number) + self.body


class Attributes(NamedTuple):
    """What is known of a file: size in bytes, mode with its type, times in seconds; None if not."""

    size: int | None = None
    mode: int | None = None
    accessed: int | None = None
    modified: int | None = None

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.mode is not None and stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is an ordinary file; one whose kind is not told counts as one."""
        return self.mode is None or stat.S_ISREG(self.mode) or not stat.S_IFMT(self.mode)


class Version(NamedTuple):
    """The server's greeting: its version, and its extensions with their versions."""

    number: int
    extensions: Mapping[bytes, bytes]


class Status(NamedTuple):
    """How a request ended."""

    code: int
    said: str

    @property
    def text(self) -> str:
        """For people."""
        if self.code == LOCAL:
            return self.said
        return _TEXTS.get(self.code) or f"the node says: {self.said or f'error {self.code}'}"


class Handle(NamedTuple):
    """An open file or directory."""

    handle: bytes


class Piece(NamedTuple):
    """Contents: a piece of a reply of which `left` bytes are still to come."""

    data: bytes | memoryview
    left: int


class Names(NamedTuple):
    """Entries of a directory, or the one name that was asked for."""

    entries: list[tuple[bytes, Attributes]]


class Extended(NamedTuple):
    """What an extension answers."""

    body: bytes


Reply = Version | Status | Handle | Piece | Names | Attributes | Extended


def hello() -> bytes:
    """What a client begins with."""
    return struct.pack("!IBI", 5, 1, 3)


def open_file(path: bytes, flags: int, mode: int | None = None) -> Request:
    """Open a file; a new one gets that mode."""
    return Request(3, _text(path) + _INT.pack(flags) + _attributes(mode=mode))


def close(handle: bytes) -> Request:
    """Close a file or directory."""
    return Request(4, _text(handle))


def read(handle: bytes, offset: int, size: int) -> Request:
    """Read up to `size` bytes from there."""
    return Request(5, _text(handle) + _AT.pack(offset, size))


def write(handle: bytes, offset: int, data: bytes) -> Request:
    """Write these bytes there."""
    return Request(6, _text(handle) + _AT.pack(offset, len(data)) + data)


def write_of(handle: bytes, offset: int, size: int) -> Request:
    """Write `size` bytes there, which follow the packet."""
    return Request(6, _text(handle) + _AT.pack(offset, size), size)


def lstat(path: bytes) -> Request:
    """The attributes of a file or link."""
    return Request(7, _text(path))


def set_handle(handle: bytes, mode: int, accessed: int, modified: int) -> Request:
    """Set mode and times of an open file."""
    return Request(10, _text(handle) + _attributes(mode, accessed, modified))


def set_path(path: bytes, mode: int, accessed: int, modified: int) -> Request:
    """Set mode and times of a file."""
    return Request(9, _text(path) + _attributes(mode, accessed, modified))


def open_directory(path: bytes) -> Request:
    """Open a directory."""
    return Request(11, _text(path))


def read_directory(handle: bytes) -> Request:
    """Some more entries, or the status EOF."""
    return Request(12, _text(handle))


def remove(path: bytes) -> Request:
    """Remove a file."""
    return Request(13, _text(path))


def make_directory(path: bytes, mode: int) -> Request:
    """Make a directory."""
    return Request(14, _text(path) + _attributes(mode=mode))


def status_of(path: bytes) -> Request:
    """The attributes of what a path leads to."""
    return Request(17, _text(path))


def replace(old: bytes, new: bytes) -> Request:
    """Rename a file, also over another, in one step."""
    return Request(200, _text(RENAME) + _text(old) + _text(new))


def limits() -> Request:
    """How large requests may be."""
    return Request(200, _text(LIMITS))


def disk_of(path: bytes) -> Request:
    """How full the disk of a path is."""
    return Request(200, _text(STATVFS) + _text(path))


def largest(answer: Extended) -> tuple[int, int]:
    """The most bytes of one read and of one write, of an answer to `limits`."""
    try:
        _, reading, writing, _ = struct.unpack_from("!4Q", answer.body)
    except struct.error as error:
        raise ValueError("not an answer to limits") from error
    return min(reading or BLOCK, LARGEST), min(writing or BLOCK, LARGEST)


def is_full(answer: Extended) -> bool:
    """Whether an answer to `disk_of` says that nothing is left."""
    try:
        *_, available, files, _, free_files, _, _, _ = struct.unpack_from("!11Q", answer.body)
    except struct.error as error:
        raise ValueError("not an answer to statvfs") from error
    return bool(available == 0 or (files > 0 and free_files == 0))  # some count none


def _text(text: bytes) -> bytes:
    return _INT.pack(len(text)) + text


def _attributes(
    mode: int | None = None, accessed: int | None = None, modified: int | None = None
) -> bytes:
    if mode is None:
        return _INT.pack(0)
    if accessed is None or modified is None:
        return struct.pack("!II", MODE, mode)
    times = (min(max(0, seconds), 0xFFFFFFFF) for seconds in (accessed, modified))
    return struct.pack("!IIII", MODE | TIMES, mode, *times)
