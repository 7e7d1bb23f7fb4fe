"""The replies of an sftp server, out of the octets that come from it. Pure.

Files' contents pass in pieces as they come, never gathered.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from dust.sftp import (
    MODE,
    MORE,
    OWNER,
    SIZE,
    TIMES,
    Attributes,
    Extended,
    Handle,
    Names,
    Piece,
    Reply,
    Status,
    Version,
)  # fmt: skip

#: The longest reply but for contents, in bytes: more is no reply.
_LONGEST = 1 << 20

_VERSION = 2
_STATUS, _HANDLE, _DATA, _NAME, _ATTRS, _EXTENDED = 101, 102, 103, 104, 105, 201

_HEAD = struct.Struct("!IBI")
_INT = struct.Struct("!I")


class Decoder:
    """Replies out of a stream that is cut anywhere, each with the number of its request."""

    def __init__(self) -> None:
        self._held = b""
        self._number = 0
        self._left = 0  # bytes of contents that are still to come

    def feed(self, data: bytes | memoryview) -> Iterator[tuple[int, Reply]]:
        """The replies that `data` completes, and the contents in it.

        A piece of contents is a view of `data`. Raises ValueError on what is no reply.
        """
        view = memoryview(data)
        if self._held:
            view = memoryview(self._held + bytes(view))
            self._held = b""
        at, end = 0, len(view)
        while True:
            if self._left:
                if at == end:
                    break
                piece = view[at : at + self._left]
                at += len(piece)
                self._left -= len(piece)
                yield self._number, Piece(piece, self._left)
                continue
            if end - at < 4:
                break
            (length,) = _INT.unpack_from(view, at)
            if not 5 <= length <= _LONGEST:
                raise ValueError("not a reply")
            if end - at < 9:
                break
            _, kind, number = _HEAD.unpack_from(view, at)
            if kind == _DATA:
                if end - at < 13:
                    break
                (size,) = _INT.unpack_from(view, at + 9)
                if size + 9 != length:
                    raise ValueError("contents of a wrong length")
                self._number, self._left = number, size
                at += 13
                if not size:
                    yield number, Piece(b"", 0)
                continue
            if end - at < 4 + length:
                break
            yield number, _reply(kind, number, bytes(view[at + 9 : at + 4 + length]))
            at += 4 + length
        self._held = bytes(view[at:])


def _reply(kind: int, number: int, body: bytes) -> Reply:
    try:
        reader = _Reader(body)
        if kind == _STATUS:
            code = reader.number()
            return Status(code, reader.text().decode("utf-8", "replace") if reader.left else "")
        if kind == _HANDLE:
            return Handle(reader.text())
        if kind == _NAME:
            return Names([reader.entry() for _ in range(reader.number())])
        if kind == _ATTRS:
            return reader.attributes()
        if kind == _EXTENDED:
            return Extended(body)
        if kind == _VERSION:
            extensions = {}
            while reader.left:
                name = reader.text()
                extensions[name] = reader.text()
            return Version(number, extensions)
    except struct.error as error:
        raise ValueError("a reply that is cut short") from error
    raise ValueError(f"a reply of kind {kind}")


class _Reader:
    """The fields of a body, in order. Raises struct.error where it ends too soon."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._body) - self._at

    def number(self) -> int:
        (value,) = _INT.unpack_from(self._body, self._at)
        self._at += 4
        return int(value)

    def long(self) -> int:
        return self.number() << 32 | self.number()

    def text(self) -> bytes:
        size = self.number()
        if size > self.left:
            raise struct.error
        self._at += size
        return self._body[self._at - size : self._at]

    def entry(self) -> tuple[bytes, Attributes]:
        name = self.text()
        self.text()  # what `ls -l` would print
        return name, self.attributes()

    def attributes(self) -> Attributes:
        flags = self.number()
        size = self.long() if flags & SIZE else None
        if flags & OWNER:
            self.long()
        mode = self.number() if flags & MODE else None
        times = (self.number(), self.number()) if flags & TIMES else (None, None)
        if flags & MORE:
            for _ in range(self.number()):
                self.text()
                self.text()
        return Attributes(size, mode, *times)
