"""Files of this machine to one node: what is asked of its sftp server, file by file."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

from dust import sftp
from dust.exchange import Many, Step, Task
from dust.sftp import Attributes, Extended, Handle, Reply, Request, Status, Version
from dust.streams import FINE, Upload, as_status, local
from dust.tally import Tally

#: A file of at most this many bytes is sent in one request.
SMALL = 32768
#: How the names of files end that are not whole yet, before what makes them unique.
PART = b".dust-part-"
#: How it is said that the directory is not there.
MISSING = "there is no such directory there"


class Found(NamedTuple):
    """A file or directory on this machine, and what it is to be called, from the target on."""

    path: bytes
    name: bytes
    info: os.stat_result


def walk(paths: list[bytes], tally: Tally) -> Iterator[Found]:
    """All directories and files below these, each directory before what is in it.

    Links and devices are left out, as are files that cannot be seen.
    """
    for path in paths:
        last = os.path.basename(path.rstrip(b"/"))
        name = b"" if last in (b"", b".", b"..") else last
        yield from _walk(path, name, tally)


def _walk(path: bytes, name: bytes, tally: Tally) -> Iterator[Found]:
    todo = [(path, name)]
    while todo:
        path, name = todo.pop()
        try:
            info = os.stat(path) if path.endswith(b"/") else os.lstat(path)
            if stat.S_ISDIR(info.st_mode):
                names = os.listdir(path)
                todo += [(os.path.join(path, each), _join(name, each)) for each in names]
        except OSError as error:
            tally.fail(path, local(error).text)
            continue
        if kind := left_out(info.st_mode):
            tally.skip(path, kind)
        else:
            yield Found(path, name, info)


def left_out(mode: int) -> str:
    """What a file is that is not copied, or ""."""
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return ""
    return "a symbolic link" if stat.S_ISLNK(mode) else "not an ordinary file"


class Put:
    """Copies `paths` into a directory of the node's."""

    def __init__(self, paths: list[bytes], directory: bytes, tally: Tally) -> None:
        #: Names there of what is not whole yet.
        self.parts: set[bytes] = set()
        #: Why nothing at all can be copied.
        self.problem = ""
        self._paths, self._directory = paths, directory
        self._tally = tally
        self._found = walk(paths, tally)
        self._made: list[tuple[bytes, os.stat_result]] = []
        self._failed: set[bytes] = set()
        self._mark = PART + os.urandom(5).hex().encode()
        self._count = 0
        self._explains = False

    def count(self) -> Iterator[None]:
        """Find out how much there is, a step a file."""
        for found in walk(self._paths, Tally()):
            if stat.S_ISREG(found.info.st_mode):
                self._tally.found(found.info.st_size)
            yield

    def leftovers(self) -> list[Request]:
        """What removes the files that are not whole."""
        return [sftp.remove(part) for part in self.parts]

    def begin(self, version: Version) -> Task:
        """The whole of it."""
        self._explains = sftp.STATVFS in version.extensions
        there = yield sftp.status_of(self._directory or b".")
        if not isinstance(there, Attributes) or not there.is_directory:
            why = there.text if isinstance(there, Status) else "that is no directory"
            if isinstance(there, Status) and there.code == sftp.NO_SUCH_FILE:
                why = MISSING
            self.problem = f"{os.fsdecode(self._directory)}: {why}"
            return
        yield Many(self._next)
        while self._made:  # the innermost first: what is put into a directory changes its time
            last = [self._made.pop() for _ in range(min(100, len(self._made)))]
            replies = yield [_set(path, info) for path, info in last]
            for (path, _), reply in zip(last, replies, strict=True):
                self._check(path, reply)

    def _next(self) -> Task | None:
        for found in self._found:
            there = _join(self._directory, found.name)
            if not stat.S_ISDIR(found.info.st_mode):
                return self._put(found.path, there)
            if found.name:
                return self._make(there, found.info)
        return None

    def _make(self, there: bytes, info: os.stat_result) -> Task:
        mode = stat.S_IMODE(info.st_mode)
        made = yield sftp.make_directory(there, mode | 0o700)
        if isinstance(made, Status) and made.code != sftp.OK:
            seen = yield sftp.status_of(there)
            if not isinstance(seen, Attributes) or not seen.is_directory:
                self._failed.add(there)
                if os.path.dirname(there) not in self._failed:
                    exists = isinstance(seen, Attributes)
                    reason = "there is a file of this name" if exists else made.text
                    self._tally.fail(there, reason)
                return
        self._made.append((there, info))

    def _put(self, path: bytes, there: bytes) -> Task:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self._tally.fail(path, local(error).text)
            return
        self._count += 1
        folder, name = os.path.split(there)
        part = _join(folder, b"." + name[:200] + self._mark + b"%x" % self._count)
        try:
            self.parts.add(part)
            status = yield from self._write(fd, part)
            if status.code == sftp.OK:
                status = yield sftp.replace(part, there)
            if status.code == sftp.OK:
                self._tally.files += 1
            elif folder not in self._failed:
                reason = yield from self._explain(status, there, folder)
                self._tally.fail(path if status.code == sftp.LOCAL else there, reason)
            if status.code != sftp.OK:
                yield sftp.remove(part)
            self.parts.discard(part)
        finally:
            os.close(fd)

    def _write(self, fd: int, part: bytes) -> Generator[Step, Any, Status]:
        """Write the file as it will be, but under another name; the result is how that went."""
        info = os.fstat(fd)
        opened = yield sftp.open_file(part, sftp.WRITE | sftp.CREATE | sftp.EXCLUSIVE, 0o600)
        if not isinstance(opened, Handle):
            return as_status(opened)
        mode, times = stat.S_IMODE(info.st_mode), (int(info.st_atime), int(info.st_mtime))
        steps = [sftp.set_handle(opened.handle, mode, *times), sftp.close(opened.handle)]
        if info.st_size <= SMALL:
            try:
                data = os.read(fd, SMALL)
            except OSError as error:
                yield sftp.close(opened.handle)
                return local(error)
            if data:
                steps.insert(0, sftp.write(opened.handle, 0, data))
            replies = yield steps
            self._tally.size += len(data)
        else:
            status = yield Upload(opened.handle, fd, info.st_size)
            replies = [status, *(yield steps)]
            self._tally.size += info.st_size
        statuses = [as_status(reply) for reply in replies]
        return next((each for each in statuses if each.code != sftp.OK), FINE)

    def _explain(self, status: Status, there: bytes, folder: bytes) -> Generator[Step, Any, str]:
        """Why the server refused, where it does not say so itself."""
        if status.code != sftp.FAILURE:
            return status.text
        if self._explains:
            disk = yield sftp.disk_of(folder or b".")
            if isinstance(disk, Extended) and sftp.is_full(disk):
                return "the disk there is full"
        seen = yield sftp.lstat(there)
        if isinstance(seen, Attributes) and seen.is_directory:
            return "there is a directory of this name"
        return status.text

    def _check(self, path: bytes, reply: Reply) -> None:
        if isinstance(reply, Status) and reply.code != sftp.OK:
            self._tally.fail(path, f"mode and times: {reply.text}")


def _set(path: bytes, info: os.stat_result) -> Request:
    mode = stat.S_IMODE(info.st_mode)
    return sftp.set_path(path, mode, int(info.st_atime), int(info.st_mtime))


def _join(folder: bytes, name: bytes) -> bytes:
    """A path; of a name alone the name itself."""
    return os.path.join(folder, name) if name else folder
