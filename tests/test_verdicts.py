"""What becomes of one-shots by how their ssh has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dust.node import Node
from dust.run import RUNNING, Run
from dust.shot import Shot
from dust.verdicts import SSH_FAILED, Verdicts

REFUSED = "ssh: connect to host 127.0.0.1 port 22: Connection refused\r\n"
OVERLOADED = "kex_exchange_identification: read: Connection reset by peer\r\n"
CUT = b"Connection to 127.0.0.1 closed by remote host.\r\n"
GONE = "Control socket connect(/kept/c): No such file or directory\r\n"

Make = Callable[..., Shot]


@pytest.fixture
def shot(tmp_path: Path) -> Make:
    """Makes a shot that has been started, and whose ssh has said something."""

    def make(said: str = "", *, last: bytes = b"", spoke: bool = False, tries: int = 1) -> Shot:
        log = tmp_path / "log"
        if said:
            log.write_text(said)
        (result,) = Run.on([Node("n1", "n1", "local")], "true").results.values()
        made = Shot(result, ["ssh", "--", "n1", "true"], str(log))
        made.first, made.seconds, made.tries = time.monotonic(), 0.5, tries
        made.last, made.spoke = last, spoke
        return made

    return make


def verdicts(
    *, pid: int | None = None, patience: float = 0.0, retries: int = 0, kept: str = ""
) -> Verdicts:
    """Those whose inquiries have this process id, or cannot be made."""

    def inquire(argv: list[str]) -> int:
        assert argv == ["ssh", "-O", "check", "--", "n1"]
        if pid is None:
            raise OSError
        return pid

    return Verdicts(inquire, patience, retries, kept)


@pytest.mark.parametrize(
    ("status", "said", "last", "result"),
    [
        (0, "", b"", ("ok", 0, "")),
        (3, REFUSED, CUT, ("failed", 3, "")),
        (-9, "", b"", ("failed", 137, "")),
        (255, "", b"", ("failed", 255, "")),
        (255, "", b"my own words\n", ("failed", 255, "")),
        (255, REFUSED, b"", ("unreachable", None, f"refused: {REFUSED.strip()}")),
        (255, "odd words\n", b"", ("unreachable", None, "odd words")),
        (255, "", b"on\r\n" + CUT, ("unreachable", None, f"dropped: {CUT.decode().strip()}")),
    ],
)
def test_how_it_ended(
    shot: Make, status: int, said: str, last: bytes, result: tuple[str, int | None, str]
) -> None:
    ended = shot(said, last=last, spoke=bool(last))
    assert verdicts().over(ended, status)
    found = ended.result
    assert (found.state, found.status, found.error) == result


@pytest.mark.parametrize(
    ("said", "tries", "patience", "retries", "spoke", "again"),
    [
        (REFUSED, 1, 60.0, 0, False, False),
        (REFUSED, 2, 60.0, 2, False, True),
        (REFUSED, 3, 60.0, 2, False, False),
        (REFUSED, 1, 60.0, 2, True, False),  # its command has begun
        ("Permission denied (publickey).\n", 1, 60.0, 2, False, False),
        (OVERLOADED, 9, 60.0, 0, False, True),
        (OVERLOADED, 9, 0.0, 0, False, False),
        (OVERLOADED, 9, 60.0, 0, True, False),
    ],
)
def test_what_cannot_have_begun_is_tried_again(
    shot: Make, said: str, tries: int, patience: float, retries: int, spoke: bool, again: bool
) -> None:
    given = verdicts(patience=patience, retries=retries)
    ended = shot(said, tries=tries, spoke=spoke)
    assert given.over(ended, SSH_FAILED) != again
    assert given.waiting() == [ended] * again
    assert (given.deadline is not None) == again
    assert (ended.result.state == RUNNING) == again
    assert Path(ended.log).exists() != again  # the next try has one of its own


def test_it_is_tried_when_its_time_has_come(shot: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    given = verdicts(retries=1)
    ended = shot(REFUSED)
    given.over(ended, SSH_FAILED)
    assert given.due() == []
    assert given.deadline is not None
    monkeypatch.setattr(time, "monotonic", lambda at=given.deadline: at)
    assert given.due() == [ended]
    assert given.due() == given.waiting() == []
    assert given.deadline is None


@pytest.mark.parametrize(
    ("status", "said", "state", "error"),
    [
        (0, GONE, "failed", ""),  # the connection is there: it was the command's
        (255, GONE, "unreachable", "dropped: the connection was lost"),
        (255, "", "failed", ""),  # it went through no connection of those
    ],
)
def test_whose_status_it_was(shot: Make, status: int, said: str, state: str, error: str) -> None:
    given = verdicts(pid=7, kept="/kept")
    doubted = shot()
    assert not given.over(doubted, SSH_FAILED)
    Path(doubted.log).write_text(said)
    assert given.inquired(8, 0) is None
    assert doubted.result.state == RUNNING
    assert given.inquired(7, status) is doubted
    assert (doubted.result.state, doubted.result.error) == (state, error)
    assert given.inquired(7, status) is None


def test_without_an_inquiry_it_was_the_command(shot: Make) -> None:
    ended = shot()
    assert verdicts(kept="/kept").over(ended, SSH_FAILED)
    assert ended.result.status == SSH_FAILED
    given = verdicts(pid=7, kept="/kept")
    doubted = shot()
    given.over(doubted, SSH_FAILED)
    assert given.undoubted() == [doubted]
    assert doubted.result.status == SSH_FAILED
