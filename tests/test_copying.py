"""A worker's copy, with a server that does what real ones do once in a long while."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dust import archive, messages, outbox
from dust.copying import Copier

SERVER = Path(__file__).with_name("sftpserver.py")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """A copier is made for a process of its own."""
    folder, handler = os.getcwd(), signal.getsignal(signal.SIGPIPE)
    yield
    os.chdir(folder)
    signal.signal(signal.SIGPIPE, handler)


class Place:
    """A directory that is here, and one that is there."""

    def __init__(self, root: Path) -> None:
        self.here, self.there = root / "here", root / "there"
        self.here.mkdir()
        self.there.mkdir()
        self.said: list[messages.Message] = []

    def copy(self, fault: str, put: bool, *names: str, into: str = "") -> messages.CopyEnded:
        """Copy with that server; the shell that could serve instead is in `there`, too."""
        server = [sys.executable, str(SERVER), fault, str(self.there)]
        shell = ["/bin/sh", "-c", f"cd '{self.there}' && {archive.command(put)}"]
        order = messages.Copy(server, shell, put, list(names), into, str(self.here), 20.0, [])
        copier = Copier(order, self.said.append)
        deadline = time.monotonic() + 30
        while not copier.over:
            assert time.monotonic() < deadline
            timeout = 1.0
            if copier.deadline is not None:
                timeout = max(0.0, copier.deadline - time.monotonic())
            readable, writable, _ = select.select(copier.readers, copier.writers, [], timeout)
            copier.turn(readable, writable)
        end = self.said[-1]
        assert isinstance(end, messages.CopyEnded)
        assert not [path for path in self.here.parent.rglob(".*") if "dust-part" in path.name]
        return end


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


SIZES = {"empty": 0, "one": 1, "block": 32768, "more": 32769, "large": 1_000_003, "even": 1 << 20}


def fill(folder: Path) -> dict[str, bytes]:
    found = {name: os.urandom(size) for name, size in SIZES.items()}
    for name, data in found.items():
        (folder / name).write_bytes(data)
    return found


def read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("fault", ["none", "old"])
def test_put(place: Place, fault: str) -> None:
    data = fill(place.here)
    end = place.copy(fault, True, ".")
    assert (end.error, end.failures, end.files) == ("", [], len(SIZES))
    assert end.size == sum(SIZES.values())
    assert read(place.there) == data
    assert any(isinstance(m, messages.Note) for m in place.said) == (fault == "old")


@pytest.mark.parametrize("fault", ["none", "short", "grows", "shrinks"])
def test_get(place: Place, fault: str) -> None:
    data = fill(place.there)
    end = place.copy(fault, False, "[a-z]*", into="got")
    assert (end.error, end.failures, end.files) == ("", [], len(SIZES))
    assert read(place.here / "got") == data


def test_put_where_the_system_cannot_move_contents(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(22, "no such thing here")

    monkeypatch.setattr(outbox, "_move", refuse)
    data = fill(place.here)
    assert place.copy("none", True, ".").files == len(SIZES)
    assert read(place.there) == data


def test_a_file_that_is_cut_while_it_is_copied_is_not_replaced(place: Place) -> None:
    (place.there / "large").write_text("old")
    (place.here / "large").write_bytes(bytes(50 << 20))
    cut = outbox._read

    def shrink(stretch: outbox.Stretch) -> bytes:
        os.truncate(place.here / "large", 10 << 20)
        return cut(stretch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox, "_read", shrink)
        patch.setattr(outbox, "_move", lambda *_: 0)
        end = place.copy("none", True, "large")
    assert end.failures == [("it was cut short while it was copied", 1, "large")]
    assert (place.there / "large").read_text() == "old"


def test_a_full_disk_leaves_the_old_files_and_is_named(place: Place) -> None:
    fill(place.here)
    (place.there / "large").write_text("old")
    end = place.copy("full", True, "large", "one", "empty")
    assert end.failures == [("the disk there is full", 2, "one")] or end.failures == [
        ("the disk there is full", 2, "large")
    ]
    assert (place.there / "large").read_text() == "old"
    assert end.files == 1


def test_names_of_a_hostile_server_lead_nowhere(place: Place) -> None:
    folder = place.there / "sub"
    folder.mkdir()
    (folder / "fine").write_text("fine")
    end = place.copy("hostile", False, "sub", into="got/node")
    everything = {str(path.relative_to(place.here)) for path in place.here.rglob("*")}
    assert everything == {"got", "got/node", "got/node/sub", "got/node/sub/fine"}
    assert ("an entry there has a name that none can have", 5, "sub") in end.failures
    assert not Path("/tmp/dust-evil").exists()


def test_a_server_that_prints_text_is_named(place: Place) -> None:
    fill(place.here)
    end = place.copy("chatty", True, "one")
    assert "its sftp server cannot be used: not a reply; no start-up file" in end.error


def test_a_server_that_dies_is_a_dropped_connection(place: Place) -> None:
    (place.here / "one").write_text("1")
    with pytest.raises(AssertionError):  # what it had begun is left there, and named
        place.copy("dies", True, "one")
    end = place.said[-1]
    assert isinstance(end, messages.CopyEnded)
    assert (end.kind, end.files) == ("dropped", 0)
    assert [path.name[:15] for path in place.there.iterdir()] == [".one.dust-part-"]


def test_nothing_to_run_is_an_end(place: Place) -> None:
    order = messages.Copy(["/nonexistent"], [], True, ["x"], "", str(place.here), 5.0, [])
    copier = Copier(order, place.said.append)
    assert copier.over
    end = place.said[-1]
    assert isinstance(end, messages.CopyEnded)
    assert "/nonexistent" in end.error
