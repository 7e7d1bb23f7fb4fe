"""Standard input for many readers: all of it to each, whatever the others do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from selectors import DefaultSelector

import pytest

from dust.feed import AHEAD, PIECE, Feed, Feeding, Reader

TEXT = bytes(range(256)) * 1024


class Loop:
    """A selector, and readers that this process reads for."""

    def __init__(self, fd: int) -> None:
        self.selector = DefaultSelector()
        self.feeding = Feeding(Feed(fd), self.selector)
        self.got: dict[Reader, bytes] = {}
        self.ends: dict[Reader, int] = {}

    def add(self) -> Reader:
        end, ours = os.pipe()
        os.set_blocking(end, False)
        reader = self.feeding.add(ours)
        self.got[reader], self.ends[reader] = b"", end
        return reader

    def turn(self, *reading: Reader) -> bool:
        """What one turn brings; False if nothing."""
        self.feeding.watch()
        ready = self.selector.select(0)
        for key, _ in ready:
            if isinstance(key.data, Feeding):
                key.data.take()
            else:
                self.feeding.give(key.data)
        read = [self.read(reader) for reader in reading]
        return bool(ready) or any(read)

    def read(self, reader: Reader) -> bool:
        try:
            data = os.read(self.ends[reader], PIECE)
        except BlockingIOError:
            return False
        self.got[reader] += data
        return bool(data)


@pytest.fixture
def loop() -> Iterator[Callable[[int], Loop]]:
    """Makes a loop over a descriptor; all is closed at the end."""
    loops: list[Loop] = []

    def make(fd: int) -> Loop:
        loops.append(Loop(fd))
        return loops[-1]

    yield make
    for each in loops:
        for reader, end in each.ends.items():
            each.feeding.close(reader)
            os.close(end)
        each.selector.close()


def test_a_file_is_given_from_where_it_stands(tmp_path: Path, loop: Callable[[int], Loop]) -> None:
    (tmp_path / "file").write_bytes(TEXT)
    with (tmp_path / "file").open("rb") as file:
        os.lseek(file.fileno(), 1000, os.SEEK_SET)
        here = loop(file.fileno())
        first, second = here.add(), here.add()
        while here.turn(first, second):
            pass
    assert here.got == {first: TEXT[1000:], second: TEXT[1000:]}
    assert (first.fd, second.fd) == (-1, -1)


def test_a_slow_reader_holds_back_nobody(loop: Callable[[int], Loop]) -> None:
    source, into = os.pipe()
    here = loop(source)
    fast, slow = here.add(), here.add()
    for at in range(0, len(TEXT), 4096):
        os.write(into, TEXT[at : at + 4096])
        while here.turn(fast):
            pass
    os.close(into)
    while here.turn(fast):
        pass
    assert (here.got[fast], fast.fd) == (TEXT, -1)
    late = here.add()
    while here.turn(slow, late):
        pass
    os.close(source)
    assert here.got == {fast: TEXT, slow: TEXT, late: TEXT}


def test_input_is_read_only_so_far_ahead(loop: Callable[[int], Loop]) -> None:
    source = os.open("/dev/zero", os.O_RDONLY)
    here = loop(source)
    reader = here.add()
    try:
        for _ in range(3 * AHEAD // PIECE):
            here.turn()
    finally:
        os.close(source)
    assert 0 < reader.given < AHEAD


def test_no_input_is_an_end_at_once(loop: Callable[[int], Loop]) -> None:
    source = os.open(os.devnull, os.O_RDONLY)
    here = loop(source)
    reader = here.add()
    here.turn()
    here.turn()
    os.close(source)
    assert reader.fd == -1


def test_who_wants_no_more_is_given_nothing(loop: Callable[[int], Loop]) -> None:
    source, into = os.pipe()
    here = loop(source)
    gone, other = here.add(), here.add()
    os.close(here.ends.pop(gone))
    os.write(into, TEXT[:4096])
    os.close(into)
    while here.turn(other):
        pass
    os.close(source)
    assert (gone.fd, here.got[other]) == (-1, TEXT[:4096])
