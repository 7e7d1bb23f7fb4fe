"""Whoever is killed: nothing stays behind, and who is left goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dust.backends.local import LocalBackend
from live.driver import Driver, children, driving, gone, nodes, started

#: Seconds within which every process must be gone.
LIMIT = 2.0
NAMES = ("quiet", "sleeping", "printing")
LINES = {"quiet": "true", "sleeping": "sleep 600", "printing": "yes"}

PROGRAM = """
import sys
from pathlib import Path
from dust.backends.local import LocalBackend
from live.driver import Driver
driver = Driver(LocalBackend(Path(sys.argv[1])).nodes(), Path(sys.argv[2]))
driver.open()
for name, line in {lines!r}.items():
    driver.start(line, name)
driver.printed("y", "printing")
driver.coordinator.hold({held})
print("running", flush=True)
driver.coordinator.wait(lambda: False)
"""


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    with nodes(tmp_path_factory.mktemp("orphans") / "nodes", NAMES) as backend:
        yield backend


@pytest.fixture
def driver(backend: LocalBackend, tmp_path: Path) -> Iterator[Driver]:
    with driving(backend.nodes(), tmp_path / "driver") as driver:
        driver.open()
        for name in ("sleeping", "printing"):
            driver.start(LINES[name], name)
        driver.printed("y", "printing")
        yield driver


def processes(pid: int) -> dict[int, str]:
    """The processes below that one, with when they began."""
    return {below: begun for below in children(pid) if (begun := started(below))}


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[0]


def zygote(driver: Driver) -> int:
    process = driver.coordinator._zygote
    assert process
    return process.pid


@pytest.mark.parametrize("held", [False, True], ids=["reading", "held"])
def test_nothing_survives_a_killed_coordinator(
    backend: LocalBackend, tmp_path: Path, held: bool
) -> None:
    (tmp_path / "driver").mkdir()
    words = [sys.executable, "-c", PROGRAM.format(lines=LINES, held=held)]
    words += [str(backend._store.root), str(tmp_path / "driver")]
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "running\n"
        below = processes(process.pid)
        ssh = [pid for pid in below if command(pid).endswith("ssh")]
        assert len(ssh) == 3
        assert len(below) >= 7  # the zygote and a worker for each
        process.kill()
    assert gone(below, LIMIT) == set()


@pytest.mark.parametrize("reported", [True, False], ids=["reported", "not yet"])
def test_a_killed_zygote_takes_its_workers_and_can_be_replaced(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, reported: bool
) -> None:
    if not reported:  # the system may be slower to report its end than workers are to follow it
        monkeypatch.setattr(subprocess.Popen, "poll", lambda _: None)
    first = zygote(driver)
    below = processes(first)
    assert len(below) >= 6
    os.kill(first, signal.SIGKILL)
    driver.state("down")
    assert gone(below, LIMIT) == set()
    for name in NAMES:
        assert driver.link(name).reason == "its worker ended"
    driver.coordinator.reconnect(list(driver.nodes.values()))
    driver.state("ready")
    assert zygote(driver) != first
    assert driver.run("hostname").status == 0


def test_a_zygote_that_is_killed_while_idle_is_replaced(driver: Driver) -> None:
    driver.coordinator.close(list(driver.nodes.values()))
    first = zygote(driver)
    begun = started(first)
    os.kill(first, signal.SIGKILL)
    assert gone({first: begun}, LIMIT) == set()
    assert driver.run("hostname", "quiet").status == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_worker_takes_its_ssh_and_disturbs_no_other(driver: Driver, name: str) -> None:
    victim = worker(driver, name)
    below = processes(victim)
    assert below
    os.kill(victim, signal.SIGKILL)
    driver.state("down", name)
    assert gone(below, LIMIT) == set()
    assert driver.link(name).reason == "its worker ended"
    others = {other for other in NAMES if other != name}
    assert {driver.link(other).state for other in others} <= {"ready", "busy"}
    if name != "quiet":
        assert driver.run("hostname", "quiet").status == 0
    driver.coordinator.reconnect(driver.of([name]))
    driver.state("ready", name)
    assert driver.run("hostname", name).status == 0


def worker(driver: Driver, name: str) -> int:
    """The worker of a node: the parent of the ssh that was called with its name."""
    for pid in children(zygote(driver)):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        if words[0].endswith("ssh") and name in words:
            return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    raise AssertionError(f"no ssh to {name}")


def test_shutdown_leaves_nothing(driver: Driver) -> None:
    first = zygote(driver)
    below = {**processes(first), first: started(first)}
    driver.coordinator.shutdown()
    assert gone(below, LIMIT) == set()
    assert {driver.link(name).state for name in NAMES} == {"down"}


def test_a_session_that_ends_leaves_nothing(driver: Driver) -> None:
    victim = worker(driver, "quiet")
    below = {**processes(victim), victim: started(victim)}
    driver.run("exit 0", "quiet")
    assert gone(below, LIMIT) == set()
