"""A node that prints without end starves nobody and fills no memory."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dust.backends.local import LocalBackend
from dust.link import Link
from dust.run import Run
from live.driver import Driver, children, driving, nodes

#: What a process may grow by while a node prints a hundred times that, in MB.
BOUND = 12.0


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    directory = tmp_path_factory.mktemp("backpressure")
    with nodes(directory / "nodes", ["loud", "other"]) as backend:
        yield backend


@pytest.fixture
def driver(backend: LocalBackend, tmp_path: Path) -> Iterator[Driver]:
    with driving(backend.nodes(), tmp_path / "driver") as driver:
        driver.open()
        yield driver


def memory(pid: int) -> float:
    """The private memory of a process, in MB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    rows = (line.split() for line in text.splitlines()[1:])
    return sum(int(row[1]) for row in rows if row[0].startswith("Private")) / 1024


def processes(driver: Driver) -> list[int]:
    zygote = driver.coordinator._zygote
    assert zygote
    return [os.getpid(), *children(zygote.pid)]


class Meter:
    """Counts what a node prints, keeps none of it, and takes its time if told so."""

    def __init__(self, driver: Driver, pause: float = 0.0) -> None:
        self.size = 0
        self.digest = hashlib.sha256()
        self._record = driver.events.output
        self._pause = pause
        driver.events.output = self.output  # type: ignore[method-assign]

    def output(self, link: Link, data: bytes) -> None:
        if link.node.name == "other":
            self._record(link, data)
            return
        self.size += len(data)
        self.digest.update(data)
        time.sleep(self._pause)


def test_an_interrupt_ends_what_it_interrupts_however_late_that_is_heard(driver: Driver) -> None:
    meter = Meter(driver)
    run = driver.start("yes", "loud")
    driver.until(lambda: meter.size > 1 << 20)
    driver.coordinator.hold(True)
    driver.keys(b"\x03", "loud")
    following = driver.start("(exit 7)", "loud")
    driver.coordinator.hold(False)
    driver.until(lambda: run.done and following.done)
    assert (driver.statuses(run), driver.statuses(following)) == ({"loud": 130}, {"loud": 7})


def test_a_slow_reader_slows_the_node_and_nothing_else(driver: Driver) -> None:
    meter = Meter(driver, pause=0.005)
    run = driver.start("yes", "loud")
    driver.until(lambda: meter.size > 1 << 20)
    before = {pid: memory(pid) for pid in processes(driver)}
    driver.until(lambda: meter.size > 3 << 20)
    again = driver.run("echo here", "other")
    assert driver.outputs(again) == {"other": "here\n"}
    grown = {pid: memory(pid) - begun for pid, begun in before.items()}
    assert max(grown.values()) < BOUND
    driver.keys(b"\x03", "loud")
    driver.until(lambda: run.done)
    assert driver.statuses(run) == {"loud": 130}
    assert driver.run("true", "loud").status == 0


def test_while_output_is_held_the_node_waits_and_keys_arrive(driver: Driver) -> None:
    meter = Meter(driver)
    run = driver.start("yes", "loud")
    driver.until(lambda: meter.size > 1 << 20)
    driver.coordinator.hold(True)
    before = {pid: memory(pid) for pid in processes(driver)}
    size = meter.size
    driver.quiet(0.5)
    assert meter.size == size
    grown = {pid: memory(pid) - begun for pid, begun in before.items()}
    assert max(grown.values()) < BOUND
    driver.keys(b"\x03", "loud")
    driver.quiet(0.1)
    driver.coordinator.hold(False)
    driver.until(lambda: run.done)
    # What was on the way when it was interrupted: the buffers, which are bounded.
    assert meter.size - size < 8 << 20


def test_output_that_waits_is_no_line_that_is_not_finished(driver: Driver) -> None:
    pieces: list[bytes] = []
    driver.events.output = lambda link, data: pieces.append(data)  # type: ignore[method-assign]
    run = driver.start("yes 0123456789 | head -n 1000000", "loud")
    driver.until(lambda: bool(pieces))
    for _ in range(5):
        driver.coordinator.hold(True)
        driver.quiet(0.5)
        driver.coordinator.hold(False)
    driver.until(lambda: run.done)
    assert [piece[-20:] for piece in pieces if not piece.endswith(b"\n")] == []
    assert b"".join(pieces) == b"0123456789\n" * 1_000_000


def test_what_a_run_keeps_of_endless_output_is_its_end(driver: Driver) -> None:
    Meter(driver)
    before = memory(os.getpid())
    run = driver.start("seq 100000000", "loud")
    result = run.results[driver.nodes["loud"].id]
    result.transcript._limit = 1 << 20
    driver.until(lambda: result.transcript.dropped > 20 << 20)
    driver.keys(b"\x03", "loud")
    driver.until(lambda: run.done)
    assert memory(os.getpid()) - before < BOUND
    lines = result.output.split("\n")[1:-2]
    assert len(lines) > 10_000
    numbers = [int(line) for line in lines if line.isdecimal()]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("head -c 20000000 /dev/zero | tr '\\0' x", b"x" * 20_000_000),
        ("seq 1000000", b"".join(b"%d\n" % i for i in range(1, 1_000_001))),
    ],
    ids=["one-line", "many-lines"],
)
def test_a_lot_of_output_arrives_whole(driver: Driver, program: str, expected: bytes) -> None:
    meter = Meter(driver)
    before = {pid: memory(pid) for pid in processes(driver)}
    run = driver.run(program, "loud")
    assert run.status == 0
    assert meter.size == len(expected)
    assert meter.digest.hexdigest() == hashlib.sha256(expected).hexdigest()
    workers = {pid: memory(pid) - begun for pid, begun in before.items() if pid != os.getpid()}
    assert max(workers.values()) < BOUND


def test_a_program_that_reads_nothing_refuses_more_than_a_bounded_queue(driver: Driver) -> None:
    driver.start("sh -c 'echo began; exec sleep 600'", "loud")
    driver.printed("began", "loud")
    before = {pid: memory(pid) for pid in processes(driver)}
    text = "\n".join(["x" * 4000] * 100)
    sent: list[Run] = []
    while not any(r.done for r in sent):
        sent.append(driver.start(text, "loud"))
        driver.coordinator.pump(0.05)
        assert len(sent) < 100
    refused = next(r for r in sent if r.done)
    (result,) = refused.results.values()
    assert "does not read its input" in result.error
    assert driver.run("echo here", "other").status == 0
    grown = {pid: memory(pid) - begun for pid, begun in before.items() if pid != os.getpid()}
    assert max(grown.values()) < BOUND
    driver.coordinator.close(driver.of(["loud"]))
    assert driver.outputs(driver.run("echo next", "loud")) == {"loud": "next\n"}


def test_long_input_reaches_a_program_that_echoes_it(driver: Driver) -> None:
    """Writing without reading would block for ever."""
    run = driver.start("cat", "loud")
    lines = [f"{i:06} " + "y" * 1000 for i in range(500)]
    text = "\n".join(lines)
    driver.start(text, "loud")
    driver.printed(lines[-1], "loud")
    driver.keys(b"\x04", "loud")
    driver.until(lambda: run.done)
    assert bytes(driver.events.printed["loud"]).decode().split("\n")[:-1] == lines
