"""The prompt with nodes that are far away: asked in the background, given up with Ctrl-C."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from moto.server import ThreadedMotoServer
from screen import Screen

from dust.backends import ec2kept
from dust.backends.ec2client import Cloud
from dust.node import Node

Begin = Callable[[str], Screen]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes every call and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Starts dust on the region us-east-1 of an endpoint."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("DUST_HOME", str(tmp_path / "home"))
    started: list[Screen] = []

    def begin(endpoint: str) -> Screen:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        argv = [sys.executable, str(ROOT / "bin" / "dust"), "--region", "us-east-1"]
        started.append(Screen(argv, {**os.environ, "TERM": "xterm-256color"}, 24, 160))
        return started[-1]

    yield begin
    for screen in started:
        screen.child.close(force=True)


def test_a_whole_region_is_stopped_only_by_its_name(
    begin: Begin, server: str, tmp_path: Path
) -> None:
    screen = begin(server)
    cloud = Cloud(region="us-east-1")
    cloud.call("ec2", "run_instances", ImageId="ami-12c6146b", MinCount=2, MaxCount=2)
    screen.wait_for("dust:ec2 us-east-1$")
    screen.line("stop *")
    screen.wait_for("Type us-east-1 to go on:")
    screen.line("y")
    screen.wait_for("dust: stop: nothing was done")
    screen.line("stop *")
    screen.wait(lambda text: text.count("Type us-east-1 to go on:") == 2)
    screen.line("us-east-1")
    screen.wait_for(": stopped")
    screen.line("exit")
    assert screen.wait_for_end() == 0
    assert "history" not in screen.text  # the home was new
    assert (tmp_path / "home" / "history").read_text().splitlines()[0] == "stop *"


def test_ctrl_c_gives_up_a_network_that_is_silent(begin: Begin, silent: str) -> None:
    screen = begin(silent)
    screen.wait_for("dust:ec2 us-east-1$")
    screen.send("@work\t")  # what completes does not wait
    screen.send("\x03")
    screen.line("show")
    screen.wait_for("asking ec2 us-east-1 ...")
    screen.send("\x03")
    screen.wait_for("interrupted")
    screen.line("echo $((40 + 2))")
    screen.wait_for("\n42\n")
    screen.line("exit")
    assert screen.wait_for_end() == 0


def test_account_and_region_stay_in_sight(begin: Begin, silent: str) -> None:
    os.environ["AWS_ENDPOINT_URL"] = silent  # which begin() sets too: a listing belongs to one
    node = Node("n1", "i-1", "ec2", "stopped", cluster="slurm1")
    path = ec2kept.path_of("", "us-east-1")
    ec2kept.keep(path, [node])
    os.utime(path, (time.time() - 7200, time.time() - 7200))
    screen = begin(silent)
    screen.wait_for("dust:ec2 us-east-1$")
    screen.line("use slurm1")
    screen.wait_for("dust:ec2 us-east-1/slurm1$")
    screen.line("show")
    screen.wait_for("Nodes in region: us-east-1, as of 2 hours ago")
