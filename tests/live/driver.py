"""Real nodes, and a coordinator on them whose events are kept."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from dust import ssh
from dust.backends import local
from dust.backends.local import LocalBackend
from dust.coordinator import Coordinator
from dust.link import Link
from dust.node import Node
from dust.run import Result, Run

#: How long anything may take on a machine that is busy with something else, in seconds.
PATIENCE = 30.0
#: The default key exchange costs 0.1 s of processor time a login.
CONFIG = """\
KexAlgorithms curve25519-sha256
StrictHostKeyChecking accept-new
BatchMode yes
"""


class Recorder:
    """Keeps what a coordinator tells."""

    def __init__(self) -> None:
        self.printed: dict[str, bytearray] = defaultdict(bytearray)
        self.states: dict[str, list[str]] = defaultdict(list)
        self.notes: dict[str, list[str]] = defaultdict(list)
        self.questions: list[tuple[Link, str, bool]] = []
        self.ends: list[tuple[Run, Result]] = []

    def output(self, link: Link, data: bytes) -> None:
        self.printed[link.node.name] += data

    def ended(self, run: Run, result: Result) -> None:
        self.ends.append((run, result))

    def changed(self, link: Link) -> None:
        self.states[link.node.name].append(link.state)

    def note(self, link: Link, text: str) -> None:
        self.notes[link.node.name].append(text)

    def question(self, link: Link, text: str, secret: bool) -> None:
        self.questions.append((link, text, secret))

    def turned(self) -> None:
        pass


class Driver:
    """A coordinator on some nodes, by name."""

    def __init__(
        self,
        nodes: Iterable[Node],
        directory: Path,
        *,
        config: str = CONFIG,
        fanout: int = 16,
        connect_timeout: float = 20.0,
    ) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.events = Recorder()
        included, path = directory / "included", directory / "config"
        included.write_text(config)
        path.write_text(ssh.config([included], ssh.DEFAULTS))
        self.coordinator = Coordinator(
            self.events,
            lambda node, command: ssh.argv(node, path, command),
            fanout=fanout,
            connect_timeout=connect_timeout,
        )

    def link(self, name: str) -> Link:
        """The session of a node."""
        return self.coordinator.links[self.nodes[name].id]

    def of(self, names: Iterable[str]) -> list[Node]:
        """The nodes of some names, or all."""
        return [self.nodes[name] for name in names] or list(self.nodes.values())

    def until(self, done: Callable[[], bool], what: str = "") -> None:
        """Wait for what must come."""
        assert self.coordinator.wait(done, PATIENCE), f"{what or 'it'} did not come: {self!r}"

    def quiet(self, seconds: float) -> None:
        """Let that much time pass in which something could go wrong."""
        self.coordinator.wait(lambda: False, seconds)

    def open(self, *names: str) -> None:
        """Open the sessions and wait until all are ready."""
        nodes = self.of(names)
        self.coordinator.open(nodes)
        self.until(lambda: all(self.link(node.name).state == "ready" for node in nodes), "ready")

    def start(self, line: str, *names: str) -> Run:
        """Send a line."""
        return self.coordinator.run(self.of(names), line)

    def run(self, line: str, *names: str) -> Run:
        """Send a line and wait for its end everywhere."""
        run = self.start(line, *names)
        self.until(lambda: run.done, f"the end of {line!r}")
        return run

    def outputs(self, run: Run) -> dict[str, str]:
        """What each node printed."""
        return {result.node.name: result.output for result in run.results.values()}

    def statuses(self, run: Run) -> dict[str, int | None]:
        """The status of each node."""
        return {result.node.name: result.status for result in run.results.values()}

    def state(self, state: str, *names: str) -> None:
        """Wait until these sessions are in that state."""
        nodes = self.of(names)
        self.until(lambda: all(self.link(node.name).state == state for node in nodes), state)

    def printed(self, text: str, *names: str) -> None:
        """Wait until these nodes have printed that."""
        wanted = text.encode()
        nodes = self.of(names)
        self.until(lambda: all(wanted in self.events.printed[n.name] for n in nodes), repr(text))

    def keys(self, data: bytes, *names: str) -> None:
        """Press keys."""
        assert len(self.coordinator.keys(self.of(names), data)) == len(self.of(names))

    def __repr__(self) -> str:
        rows = []
        for name, node in self.nodes.items():
            link = self.coordinator.links.get(node.id)
            state = f"{link.state} {link.reason}" if link else "none"
            notes = self.events.notes[name]
            rows.append(f"{name}: {state} {bytes(self.events.printed[name][-300:])!r} {notes}")
        return "\n".join(["", *rows])


@contextmanager
def driving(nodes: Iterable[Node], directory: Path, **options: object) -> Iterator[Driver]:
    """A driver that ends what it began."""
    directory.mkdir(exist_ok=True)
    driver = Driver(nodes, directory, **options)  # type: ignore[arg-type]
    try:
        yield driver
    finally:
        driver.coordinator.shutdown()


@contextmanager
def nodes(
    root: Path,
    names: Iterable[str],
    shells: Mapping[str, str] | None = None,
    prepare: Callable[[str, Path], None] | None = None,
) -> Iterator[LocalBackend]:
    """Running local nodes, ended in the end.

    `shells` gives some another login shell, by node name; `prepare` is called with the name and
    the home of each once it runs.
    """
    shells = shells or {}

    def with_shell(make: Callable[..., str]) -> Callable[..., str]:
        def config(sshd: object, name: str, *more: str) -> str:
            text = make(sshd, name, *more)
            shell = shells.get(name)
            said = f"SetEnv DUST_NODE={name}"
            assert said in text
            return text.replace(said, f"{said} SHELL={shell}") if shell else text

        return config

    backend = LocalBackend(root)
    with pytest.MonkeyPatch.context() as patch:
        for function in ("isolated_config", "plain_config"):
            patch.setattr(local, function, with_shell(getattr(local, function)))
        changes = backend.create(list(names))
    try:
        assert not [change for change in changes if change.error], changes
        for node in backend.nodes():
            if prepare:
                prepare(node.name, Path(node.details["home"]))
        yield backend
    finally:
        backend.terminate([node.id for node in backend.nodes()])


def started(pid: int) -> str:
    """When a process began, in ticks; "" once it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def children(pid: int) -> list[int]:
    """All processes below that one."""
    parents: dict[int, list[int]] = defaultdict(list)
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            parents[int(stat.rpartition(")")[2].split()[1])].append(int(entry))
    found, todo = [], [pid]
    while todo:
        below = parents[todo.pop()]
        found += below
        todo += below
    return found


def gone(processes: Mapping[int, str], patience: float) -> set[int]:
    """Those of these processes (with their starts) that still live after that many seconds."""
    deadline = time.monotonic() + patience
    while True:
        left = {pid for pid, begun in processes.items() if started(pid) == begun}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)
