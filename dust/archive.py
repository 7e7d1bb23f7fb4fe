"""Copies to and from a node that has no sftp server: by its shell and its tar.

What runs there is a fixed text. Names and directories are data on its standard input, each a line
in the escapes of `printf %b`; what is put is made whole in a directory of its own, and moved from
there. It runs in a thread, because tar streams are read and written by waiting.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from typing import IO, TYPE_CHECKING

from dust import messages
from dust.streams import local
from dust.tally import Tally
from dust.upload import PART, left_out, walk

if TYPE_CHECKING:
    from tarfile import TarFile, TarInfo

#: What a stream ends with, to tell a whole one from one that was cut.
_WHOLE = ".dust-whole"
_PLAIN = re.compile(rb"[A-Za-z0-9/._-]")

# No single quote, no line end and no exclamation mark: any login shell hands it on as it is.
_PUT = (
    'u() { IFS= read -r x && x=$(printf "%b." "$x") && x=${x%.}; }; '
    'u && d=$x && u && p=$x && cd "$d" && mkdir -m 700 "$p" || exit 1; '
    'trap "cd ..; rm -rf $p" 0; trap "exit 1" 1 2 15; '
    'cd "$p" && tar xpf - && rm ' + _WHOLE + " || exit 1; "
    'find . -type d -exec sh -c "'
    '[ \\"\\$1\\" = . ] && exit 1; [ -d \\"../\\$1\\" ] && exit 1; '
    'mv -f \\"\\$1\\" \\"../\\$1\\"" sh {} \\; -prune -o -type f -exec sh -c "'
    'if [ -d \\"../\\$1\\" ]; then echo \\"\\$1: there is a directory of this name\\" >&2; '
    'else mv -f \\"\\$1\\" \\"../\\$1\\"; fi" sh {} \\; ; '
    '[ -z "$(find . -type f)" ]'
)
_GET = (
    'u() { IFS= read -r x && x=$(printf "%b." "$x") && x=${x%.}; }; r=0; IFS=; '
    'while u && [ -n "$x" ]; do for f in $x; do '
    'if [ -e "$f" ] || [ -L "$f" ]; then '
    "case $f in */*) d=${f%/*}/; b=${f##*/} ;; *) d=./; b=$f ;; esac; "
    'case $b in ""|.|..) d=$f/; b= ;; esac; '
    'tar cf - -C "$d" "./$b" || r=1; '
    'else printf "%s: no such file or directory\\n" "$f" >&2; r=1; fi; done; done; exit $r'
)


def command(put: bool) -> str:
    """What a node runs, for its login shell."""
    return f"exec /bin/sh -c '{_PUT if put else _GET}'"


class Archive:
    """A copy by a running shell, whose pipes it closes. When it is done, `over` can be read."""

    def __init__(self, order: messages.Copy, to: int, output: int, tally: Tally) -> None:
        self.over, self._done = os.pipe()
        self.problem = ""
        self._order = order
        self._tally = tally
        self._names = [name.encode("latin-1") for name in order.names]
        self._directory = order.directory.encode("latin-1")
        self._part = b""
        self._to, self._output = to, output
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        from tarfile import TarError  # no copy but such a one needs it

        try:
            if self._order.put:
                with open(self._to, "wb") as to:
                    self._put(to)
                with open(self._output, "rb") as output:
                    output.read()  # its end
            else:
                with open(self._to, "wb") as to:
                    to.write(b"".join(map(_line, self._patterns())) + b"\n")
                with open(self._output, "rb") as output:
                    self._get(output)
        except BrokenPipeError:
            self.problem = "it ended too soon"
        except OSError as error:
            where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
            self.problem = where + local(error).text
        except TarError as error:
            self.problem = str(error)
        finally:
            os.close(self._done)

    def tidy(self) -> None:
        """Remove what is not whole, here."""
        if self._part:
            _unlink(self._part)

    # --- there

    def _put(self, to: IO[bytes]) -> None:
        where = self._directory or b"."
        to.write(_line(where if where.startswith(b"/") else b"./" + where))
        to.write(_line(PART + os.urandom(6).hex().encode()))
        with _tar(to, "w|") as tar:
            for found in walk(self._names, self._tally):
                if found.name:
                    self._add(tar, found.path, _member(found.name, found.info), found.info)
            tar.addfile(_member(os.fsencode(_WHOLE)))

    def _add(self, tar: TarFile, path: bytes, member: TarInfo, info: os.stat_result) -> None:
        if stat.S_ISDIR(info.st_mode):
            tar.addfile(member)
            return
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            self._tally.fail(path, local(error).text)
            return
        with open(fd, "rb") as file:
            member.size = os.fstat(fd).st_size
            tar.addfile(member, file)
        self._tally.files += 1
        self._tally.size += member.size

    # --- here

    def _patterns(self) -> list[bytes]:
        """Patterns as a shell reads them: none looks like an option."""
        return [name if name.startswith(b"/") else b"./" + name for name in self._names]

    def _get(self, output: IO[bytes]) -> None:
        from tarfile import ReadError

        os.makedirs(self._directory, exist_ok=True)
        made: list[tuple[bytes, TarInfo]] = []
        try:
            tar = _tar(output, "r|")
        except ReadError:
            return  # empty: what was said instead says why
        for member in tar:
            name = os.fsencode(member.name)
            steps = [step for step in name.split(b"/") if step not in (b"", b".")]
            if b".." in steps or name.startswith(b"/"):
                self._tally.fail(name, "an entry there has a name that none can have")
                continue
            here = os.path.join(self._directory, *steps)
            try:
                if member.isdir():
                    if steps and not os.path.isdir(here):
                        os.mkdir(here, 0o700)
                    if steps:
                        made.append((here, member))
                elif member.isreg():
                    self._keep(tar, member, here)
                else:
                    self._tally.skip(name, left_out(stat.S_IFLNK if member.issym() else 0))
            except OSError as error:
                self._tally.fail(here, local(error).text)
        for path, member in reversed(made):
            os.chmod(path, member.mode & 0o777)
            os.utime(path, (member.mtime, member.mtime))

    def _keep(self, tar: TarFile, member: TarInfo, here: bytes) -> None:
        source = tar.extractfile(member)
        assert source is not None
        folder, name = os.path.split(here)
        mark = PART + os.urandom(6).hex().encode()
        part = os.path.join(folder, b"." + name[:200] + mark)
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._part = part
        try:
            with open(fd, "wb") as file:
                while block := source.read(1 << 16):
                    file.write(block)
            os.chmod(part, member.mode & 0o777)
            os.utime(part, (member.mtime, member.mtime))
            os.replace(part, here)
        except BaseException:
            _unlink(part)
            raise
        finally:
            self._part = b""
        self._tally.files += 1
        self._tally.size += member.size


def _tar(file: IO[bytes], mode: str) -> TarFile:
    from tarfile import GNU_FORMAT
    from tarfile import open as open_tar

    # Where several streams follow each other, the zeros at the end of one are not the end.
    return open_tar(  # type: ignore[call-overload, no-any-return]
        fileobj=file, mode=mode, format=GNU_FORMAT, encoding="utf-8", errors="surrogateescape",
        ignore_zeros=mode == "r|", bufsize=1 << 16,
    )  # fmt: skip


def _member(name: bytes, info: os.stat_result | None = None) -> TarInfo:
    from tarfile import DIRTYPE, TarInfo

    member = TarInfo(os.fsdecode(b"./" + name))
    if info is not None:
        member.mode, member.mtime = stat.S_IMODE(info.st_mode), int(info.st_mtime)
        if stat.S_ISDIR(info.st_mode):
            member.type = DIRTYPE
    return member


def _line(text: bytes) -> bytes:
    """A text as `printf %b` reads it, on one line."""
    octets = (bytes([each]) for each in text)
    return b"".join(o if _PLAIN.match(o) else b"\\0%03o" % o[0] for o in octets) + b"\n"


def _unlink(path: bytes) -> None:
    try:
        os.unlink(path)
    except OSError:
        return  # it is there no more
