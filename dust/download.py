"""Files of one node to this machine: what is asked of its sftp server, and what is kept of it.

The server is not trusted: a name of its is one step below a directory of ours, or refused.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Generator, Iterator
from typing import Any

from dust import sftp, wildcards
from dust.exchange import Many, Step, Task
from dust.sftp import Attributes, Handle, Names, Request, Status, Version
from dust.streams import FINE, Download, as_status, local
from dust.tally import Tally
from dust.upload import PART, left_out

Entry = tuple[bytes, Attributes]


class Get:
    """Copies what patterns match into a directory of this machine."""

    def __init__(self, patterns: list[str], directory: bytes, tally: Tally) -> None:
        #: Paths here of what is not whole yet.
        self.parts: set[bytes] = set()
        self.problem = ""
        self._patterns, self._directory = patterns, directory
        self._tally = tally
        self._todo: deque[Task] = deque()
        self._made: list[tuple[bytes, Attributes]] = []
        self._names: dict[bytes, bytes] = {}
        self._mark = PART + os.urandom(5).hex().encode()
        self._count = 0

    def count(self) -> Iterator[None]:
        """Nothing is known before the server tells."""
        return iter(())

    def leftovers(self) -> list[Request]:
        """Remove the files here that are not whole; nothing is left there."""
        for part in self.parts:
            _unlink(part)
        return []

    def begin(self, version: Version) -> Task:
        """The whole of it."""
        try:
            os.makedirs(self._directory, exist_ok=True)
        except OSError as error:
            self.problem = f"{os.fsdecode(self._directory)}: {local(error).text}"
            return
        for pattern in self._patterns:
            for path, attributes in (yield from self._matches(pattern)):
                self._choose(path, attributes)
            yield Many(self._next)
        for path, attributes in reversed(self._made):
            try:
                _set(path, attributes)
            except OSError as error:
                self._tally.fail(path, f"mode and times: {local(error).text}")

    def _next(self) -> Task | None:
        return self._todo.pop() if self._todo else None

    # --- what there is

    def _matches(self, pattern: str) -> Generator[Step, Any, list[Entry]]:
        """Paths and attributes of what a pattern matches; one without wildcards, itself."""
        paths = [b"/" if pattern.startswith("/") else b""]
        for part in filter(None, pattern.split("/")):
            literal = wildcards.literal(part)
            if literal is not None:
                paths = [os.path.join(path, os.fsencode(literal)) for path in paths]
                continue
            found: list[bytes] = []
            for path in paths:
                status, entries = yield from self._list(path or b".")
                if status.code not in (sftp.OK, sftp.NO_SUCH_FILE) and len(paths) == 1:
                    self._tally.fail(path or b".", status.text)
                names = (os.fsdecode(name) for name, _ in entries)
                found += [
                    os.path.join(path, os.fsencode(name))
                    for name in sorted(names)
                    if wildcards.matches(part, name)
                ]
            paths = found
        if not paths:
            self._tally.fail(os.fsencode(pattern), "nothing there matches")
        seen = []
        for path in paths:
            reply = yield sftp.lstat(path or b".")
            if isinstance(reply, Attributes):
                seen.append((path, reply))
            elif wildcards.literal(pattern) is not None:
                self._tally.fail(path, reply.text)
        return seen

    def _list(self, path: bytes) -> Generator[Step, Any, tuple[Status, list[Entry]]]:
        """How it went, and the entries of a directory."""
        opened = yield sftp.open_directory(path)
        if not isinstance(opened, Handle):
            return as_status(opened), []
        entries: list[Entry] = []
        status = FINE
        while status is FINE:
            for reply in (yield [sftp.read_directory(opened.handle)] * 2):
                if isinstance(reply, Names):
                    entries += [e for e in reply.entries if self._harmless(path, e[0])]
                else:
                    status = as_status(reply)
        yield sftp.close(opened.handle)
        return (FINE if status.code == sftp.EOF else status), entries

    def _harmless(self, path: bytes, name: bytes) -> bool:
        if name in (b".", b".."):
            return False
        if not name or b"/" in name or b"\0" in name:
            self._tally.fail(path, "an entry there has a name that none can have")
            return False
        return True

    def _choose(self, path: bytes, attributes: Attributes) -> None:
        """Take up what was asked for by name."""
        last = os.path.basename(path)
        if last in (b"", b".", b".."):
            self._take(path or b".", self._directory, attributes)
        elif last in self._names:
            other = os.fsdecode(self._names[last])
            self._tally.fail(path, f"{other} has the same name")
        else:
            self._names[last] = path
            self._take(path, os.path.join(self._directory, last), attributes)

    def _take(self, there: bytes, here: bytes, attributes: Attributes) -> None:
        if attributes.is_directory:
            self._todo.append(self._get_directory(there, here, attributes))
        elif attributes.is_file:
            self._tally.found(attributes.size or 0)
            self._todo.append(self._get(there, here, attributes))
        else:
            self._tally.skip(there, left_out(attributes.mode or 0))

    # --- one of them

    def _get_directory(self, there: bytes, here: bytes, attributes: Attributes) -> Task:
        try:
            if here != self._directory:
                _make_directory(here)
                self._made.append((here, attributes))
        except OSError as error:
            self._tally.fail(here, local(error).text)
            return
        status, entries = yield from self._list(there)
        if status.code != sftp.OK:
            self._tally.fail(there, status.text)
        for name, each in entries:
            self._take(os.path.join(there, name), os.path.join(here, name), each)

    def _get(self, there: bytes, here: bytes, attributes: Attributes) -> Task:
        opened = yield sftp.open_file(there, sftp.READ)
        if not isinstance(opened, Handle):
            self._tally.fail(there, opened.text)
            return
        folder, name = os.path.split(here)
        self._count += 1
        part = os.path.join(folder, b"." + name[:200] + self._mark + b"%x" % self._count)
        try:
            status = yield from self._read(opened.handle, part, attributes)
            if status.code == sftp.OK:
                os.replace(part, here)
                self.parts.discard(part)
                self._tally.files += 1
            else:
                self._tally.fail(there, status.text)
        except OSError as error:
            self._tally.fail(here, local(error).text)
        if part in self.parts:
            _unlink(part)
            self.parts.discard(part)
        yield sftp.close(opened.handle)

    def _read(
        self, handle: bytes, part: bytes, attributes: Attributes
    ) -> Generator[Step, Any, Status]:
        """Read the file as it will be, but under another name; the result is how that went."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(part, flags, 0o600)
        self.parts.add(part)
        try:
            download = Download(handle, fd, attributes.size or 0)
            status = as_status((yield download))
            if status.code == sftp.OK:
                download.finish()
                self._tally.size += download.size
                _set(fd, attributes)
        finally:
            os.close(fd)
        return status


def _make_directory(path: bytes) -> None:
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not os.path.isdir(path):
            raise


def _set(file: bytes | int, attributes: Attributes) -> None:
    """Mode and times, without what would give a stranger's program rights of ours."""
    if attributes.mode is not None:
        os.chmod(file, stat.S_IMODE(attributes.mode) & 0o777)
    if attributes.accessed is not None and attributes.modified is not None:
        os.utime(file, (attributes.accessed, attributes.modified))


def _unlink(path: bytes) -> None:
    try:
        os.unlink(path)
    except OSError:
        return  # there is none, or no way to it
