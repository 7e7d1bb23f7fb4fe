"""logs as it is typed, on a moto server."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cloud import account, serving

from dust.backends.ec2client import Cloud
from dust.backends.ec2logs import Following
from dust.cli import main

DUST = Path(__file__).resolve().parents[1] / "bin" / "dust"
GROUP, STREAM = "/aws/lambda/resize", "2026/[1]a b"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as endpoint:
        yield endpoint


@pytest.fixture
def cloud(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """An account with one group of one stream."""
    account(monkeypatch, server, tmp_path)
    cloud = Cloud(region="us-east-1")
    cloud.call("logs", "create_log_group", logGroupName=GROUP)
    cloud.call("logs", "create_log_stream", logGroupName=GROUP, logStreamName=STREAM)
    yield cloud
    cloud.call("logs", "delete_log_group", logGroupName=GROUP)


def put(cloud: Cloud, *texts: str, when: float | None = None) -> None:
    at = int((time.time() if when is None else when) * 1000)
    cloud.call(
        "logs",
        "put_log_events",
        logGroupName=GROUP,
        logStreamName=STREAM,
        logEvents=[{"timestamp": at, "message": text} for text in texts],
    )


@pytest.fixture
def typed(cloud: Cloud, capfd: pytest.CaptureFixture[str]) -> Callable[[str], tuple[str, str]]:
    def typed(line: str) -> tuple[str, str]:
        main(["--region", "us-east-1", "-c", line])
        said = capfd.readouterr()
        return said.out, said.err

    return typed


def test_groups_streams_and_entries(cloud: Cloud, typed: Callable[[str], tuple[str, str]]) -> None:
    now = int(time.time()) - 60
    put(cloud, "first", "two\n\tlines \x1b[2J\x07", when=now)
    assert [line.split() for line in typed("logs")[0].splitlines()][1][0] == GROUP
    assert STREAM in typed(f"logs {GROUP}")[0]
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now))
    said, _ = typed(f"logs {GROUP} '{STREAM}'")
    lines = said.splitlines()
    assert [line.removeprefix(f"{stamp} ").strip() for line in lines] == [
        "first",
        "two",
        "lines \\x1b[2J\\x07",
    ]
    assert len(typed(f"logs -n 1 {GROUP} '{STREAM}'")[0].splitlines()) == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("logs /aws/lambda/resise", f"no log group /aws/lambda/resise; did you mean {GROUP}?"),
        (f"logs {GROUP} '2026/[1]a'", f"no stream 2026/[1]a in {GROUP}; did you mean {STREAM}?"),
        ("logs -f", "logs -f: which group? `logs` lists them"),
        ("logs -n many", "logs -n many: this is no number from 1 to 10000"),
    ],
)
def test_what_is_not_there_is_said(
    line: str, said: str, typed: Callable[[str], tuple[str, str]]
) -> None:
    assert typed(line) == ("", f"dust: {said}\n")


def test_following_gives_each_entry_once_and_late_ones_too(cloud: Cloud) -> None:
    now = time.time() - 100
    following = Following(cloud, GROUP, clock=lambda: now)
    put(cloud, "before", when=now - 1)
    assert following.more() == []
    put(cloud, "a", "b", when=now + 20)
    assert [entry.text for entry in following.more()] == ["a", "b"]
    put(cloud, "late", when=now + 5)
    put(cloud, "c", when=now + 21)
    assert [entry.text for entry in following.more()] == ["late", "c"]
    assert following.more() == []


def test_follow_until_ctrl_c(cloud: Cloud) -> None:
    argv = [sys.executable, str(DUST), "--region", "us-east-1", "-c", f"logs -f {GROUP}"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as dust:
        assert dust.stdout is not None and dust.stderr is not None
        put(cloud, "in time", when=time.time() + 600)  # whenever dust begins to look
        assert dust.stdout.readline().endswith(f" [{STREAM}] in time\n")
        dust.send_signal(signal.SIGINT)
        assert dust.wait(20) == 130
        assert dust.stderr.read() == "interrupted\n"
