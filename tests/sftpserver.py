"""A small sftp server on standard input and output, with faults: python sftpserver.py FAULT FOLDER.

`none`, `full` (its disk), `hostile` (names that lead out of a directory), `old` (it cannot replace
files), `short` (it answers with less than was asked for), `grows` and `shrinks` (files are not as
long as it says), `chatty` (it prints a text first), `dies` (at the first write).
"""

from __future__ import annotations

import os
import struct
import sys
from typing import BinaryIO

FAULT = sys.argv[1] if len(sys.argv) > 1 else "none"
EXTENSIONS = (b"posix-rename@openssh.com", b"statvfs@openssh.com")


def text(octets: bytes) -> bytes:
    return struct.pack("!I", len(octets)) + octets


def take(body: bytes) -> tuple[bytes, bytes]:
    (size,) = struct.unpack_from("!I", body)
    return body[4 : 4 + size], body[4 + size :]


def attributes(path: bytes) -> bytes:
    info = os.lstat(path)
    size = {"grows": info.st_size // 2, "shrinks": info.st_size * 2}.get(FAULT, info.st_size)
    times = int(info.st_atime), int(info.st_mtime)
    return struct.pack("!IQIII", 0x0D, size, info.st_mode, *times)


class Server:
    def __init__(self, output: BinaryIO) -> None:
        self.output = output
        self.open: dict[bytes, int] = {}
        self.listed: dict[bytes, list[bytes]] = {}

    def reply(self, kind: int, number: int, body: bytes) -> None:
        self.output.write(struct.pack("!IBI", len(body) + 5, kind, number) + body)
        self.output.flush()

    def status(self, number: int, code: int) -> None:
        self.reply(101, number, struct.pack("!I", code) + text(b"Failure") + text(b""))

    def serve(self, kind: int, number: int, body: bytes) -> None:
        try:
            self.answer(kind, number, body)
        except FileNotFoundError:
            self.status(number, 2)
        except OSError:
            self.status(number, 4)

    def answer(self, kind: int, number: int, body: bytes) -> None:
        first, rest = take(body)
        if kind == 3:
            (flags,) = struct.unpack_from("!I", rest)
            how = os.O_RDONLY if flags == 1 else os.O_WRONLY | os.O_CREAT | os.O_EXCL
            handle = b"%d" % number
            self.open[handle] = os.open(first, how)
            self.reply(102, number, text(handle))
        elif kind == 4:
            if first in self.open:
                os.close(self.open.pop(first))
            self.status(number, 0)
        elif kind == 5:
            offset, size = struct.unpack_from("!QI", rest)
            data = os.pread(self.open[first], size if FAULT != "short" else (size + 1) // 2, offset)
            if data:
                self.reply(103, number, text(data))
            else:
                self.status(number, 1)
        elif kind == 6:
            if FAULT == "dies":
                os._exit(1)
            (offset,) = struct.unpack_from("!Q", rest)
            if FAULT != "full":
                os.pwrite(self.open[first], rest[12:], offset)
            self.status(number, 4 if FAULT == "full" else 0)
        elif kind in (7, 17):
            self.reply(105, number, attributes(first))
        elif kind in (9, 10):
            _, mode, accessed, modified = struct.unpack_from("!IIII", rest)
            file = self.open.get(first, first)
            os.chmod(file, mode)
            os.utime(file, (accessed, modified))
            self.status(number, 0)
        elif kind == 11:
            self.listed[first] = sorted(os.listdir(first or b"."))
            self.reply(102, number, text(first))
        elif kind == 12:
            self.list(number, first)
        elif kind == 13:
            os.unlink(first)
            self.status(number, 0)
        elif kind == 14:
            os.mkdir(first)
            self.status(number, 0)
        elif kind == 200:
            self.extended(number, first, rest)
        else:
            self.status(number, 8)

    def list(self, number: int, folder: bytes) -> None:
        names = self.listed.pop(folder, None)
        if names is None:
            self.status(number, 1)
            return
        entries = [(name, attributes(os.path.join(folder, name))) for name in names]
        if FAULT == "hostile":
            file = attributes(os.path.join(folder, names[0]))
            evil = [b"../evil", b"..", b"/tmp/dust-evil", b"sub/../../evil", b"", b"nul\0", b"."]
            entries += [(name, file) for name in evil] + entries  # and all names once more
        rows = b"".join(text(name) + text(b"") + each for name, each in entries)
        self.reply(104, number, struct.pack("!I", len(entries)) + rows)

    def extended(self, number: int, name: bytes, rest: bytes) -> None:
        if name == EXTENSIONS[0]:
            old, rest = take(rest)
            os.replace(old, take(rest)[0])
            self.status(number, 0)
        else:
            free = 0 if FAULT == "full" else 9
            self.reply(
                201, number, struct.pack("!11Q", 512, 512, 9, free, free, 9, 9, 9, 0, 0, 255)
            )


def main() -> None:
    os.chdir(sys.argv[2])
    source, output = sys.stdin.buffer, sys.stdout.buffer
    if FAULT == "chatty":
        output.write(b"Welcome to this machine!\n")
    server = Server(output)
    while head := source.read(4):
        packet = source.read(struct.unpack("!I", head)[0])
        kind, number = struct.unpack_from("!BI", packet)
        if kind == 1:
            known = () if FAULT == "old" else EXTENSIONS
            server.reply(2, 3, b"".join(text(each) + text(b"1") for each in known))
        else:
            server.serve(kind, number, packet[5:])


if __name__ == "__main__":
    main()
