"""A backend and a context that record what plugins do with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from dust import config
from dust.backend import Change, Follow, to_the_end
from dust.cluster import Cluster
from dust.command import Command, Copied, Result
from dust.config import Settings
from dust.errors import BackendError
from dust.fullscreen import View
from dust.link import DOWN, LIVE, Link
from dust.node import Node
from dust.registry import Registry
from dust.run import Run

END = {"start": "running", "stop": "stopped", "reboot": "running", "terminate": "terminated"}

T = TypeVar("T")


def node(name: str, state: str = "running", cluster: str = "", **more: Any) -> Node:
    more.setdefault("id", f"i-{name}")
    return Node(name, backend="fake", state=state, cluster=cluster, **more)


MASTER = node("master", cluster="slurm1", type="t2.small", ip="52.20.1.9", private_ip="172.31.1.7",
              details={"launch_time": "2016-04-08", "username": "admin"})  # fmt: skip
WORKER1 = node("worker1", cluster="slurm1", tags={"env": "dev", "Name": "My Node"})
WORKER2 = node("worker2", "stopped", cluster="slurm1")
LONE = node("lone")
NODES = [MASTER, WORKER1, WORKER2, LONE]


class FakeBackend:
    """Nodes in a list; what it is asked is in `calls`, and `broken` ids cannot be changed."""

    name = "fake"
    label = "fake east"
    region = ""
    ssh_config: Path | None = None
    ssh_defaults: Mapping[str, str] = MappingProxyType({})

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.there = list(nodes)
        self.calls: list[tuple[str, ...]] = []
        self.broken: dict[str, str] = {}
        self.waited = True

    def nodes(self) -> list[Node]:
        self.calls.append(("nodes",))
        return list(self.there)

    def kept(self) -> tuple[list[Node], float] | None:
        return None

    def regions(self) -> list[str]:
        return ["mars-east-1", "mars-east-2"] if self.region else []

    def elsewhere(self, region: str) -> FakeBackend:
        there = FakeBackend([LONE])
        there.region, there.label = region, f"fake {region}"
        return there

    def check(self, verb: str, ids: Sequence[str]) -> None:
        if broken := [self.broken[id] for id in ids if id in self.broken]:
            raise BackendError(broken[0])

    def start(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        return self._change("start", ids, follow)

    def stop(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        return self._change("stop", ids, follow)

    def reboot(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        return self._change("reboot", ids, follow)

    def terminate(self, ids: Sequence[str], follow: Follow = to_the_end) -> list[Change]:
        return self._change("terminate", ids, follow)

    def tag(self, ids: Sequence[str], tags: Mapping[str, str]) -> list[Change]:
        self.there = [n._replace(tags={**n.tags, **tags}) if n.id in ids else n for n in self.there]
        return [Change(id, "running", self.broken.get(id, "")) for id in ids]

    def untag(self, ids: Sequence[str], keys: Sequence[str]) -> list[Change]:
        for node in [node for node in self.there if node.id in ids]:
            left = {key: value for key, value in node.tags.items() if key not in keys}
            self.there[self.there.index(node)] = node._replace(tags=left)
        return [Change(id, "running", self.broken.get(id, "")) for id in ids]

    def _change(self, verb: str, ids: Sequence[str], follow: Follow) -> list[Change]:
        self.calls.append((verb, *ids))
        self.waited = follow(dict.fromkeys(ids, "between"))
        done = {id for id in ids if id not in self.broken}
        self.there = [n._replace(state=END[verb]) if n.id in done else n for n in self.there]
        if verb == "terminate":
            self.there = [n for n in self.there if n.id not in done]
        return [Change(id, "" if id in self.broken else END[verb], self.broken.get(id, ""))
                for id in ids]  # fmt: skip

    @property
    def changes(self) -> list[tuple[str, ...]]:
        """The calls that change nodes."""
        return [call for call in self.calls if call != ("nodes",)]


class FakeSessions:
    """Links without processes; keys that were typed are in `typed`, by node name."""

    def __init__(self) -> None:
        self.links: dict[str, Link] = {}
        self.typed: dict[str, bytes] = {}

    def add(self, node: Node, state: str) -> None:
        self.links[node.id] = Link(node, state)

    def keys(self, nodes: Iterable[Node], data: bytes) -> list[Node]:
        typed = [node for node in nodes if self.links[node.id].state in LIVE]
        self.typed.update((node.name, data) for node in typed)
        return typed

    def close(self, nodes: Iterable[Node], why: str = "closed") -> list[Node]:
        links = [self.links[n.id] for n in nodes if n.id in self.links]
        open_ = [link for link in links if link.state != DOWN]
        for link in open_:
            link.state = DOWN
        return [link.node for link in open_]

    def reconnect(self, nodes: Iterable[Node]) -> list[Node]:
        lost = [node for node in nodes if self.links[node.id].state == DOWN]
        for each in lost:
            self.links[each.id].state = "connecting"
        return lost

    def state_of(self, id: str) -> str:
        return self.links[id].state if id in self.links else ""


class Recorder:
    """The context of commands; what they say is in `said`, `errors`, `asked` and `shown`."""

    def __init__(self, nodes: Iterable[Node] = (), folder: Path = Path("/nonexistent")) -> None:
        self.cluster = Cluster(FakeBackend(nodes))
        self.sessions: Any = FakeSessions()
        self.cluster.state_of = self.sessions.state_of
        self.settings = Settings()
        self.state: dict[str, Any] = {}
        self.assume_yes = False
        self.last: Run | None = None
        self.registry: Any = Registry(folder)
        self.registry.load()
        self.secret: str | None = None
        self.lines: list[str] = []
        self.answer = True
        self.typed: list[str] = []
        self.left: int | None = None
        self.progress = ""
        self.said: list[str] = []
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.tables: list[tuple[list[list[str]], list[str]]] = []
        self.copied: list[tuple[str, list[str], str, str]] = []
        self.shown: list[tuple[list[str], str]] = []

    @property
    def backend(self) -> FakeBackend:
        assert isinstance(self.cluster.backend, FakeBackend)
        return self.cluster.backend

    def type(self, *words: str) -> str:
        """Run a command with words as typed; returns what it printed."""
        found: Command = self.registry.find(words[0])
        before = len(self.said)
        found(self, **found.bind(words[1:]))
        return "\n".join(self.said[before:])

    def select(self, target: str = "") -> list[Node]:
        self.cluster.last = self.last
        return self.cluster.select(target)

    def running(self, target: str = "") -> list[Node]:
        return self.cluster.running(target)

    def run(self, target: str, line: str, timeout: float | None = None) -> list[Result]:
        raise NotImplementedError

    def put(self, files: Sequence[str], target: str, directory: str = "") -> list[Copied]:
        self.copied.append(("put", list(files), target, directory))
        return [Copied(node, "ok", files=1) for node in self.running(target)]

    def get(self, target: str, files: Sequence[str], directory: str = ".") -> list[Copied]:
        self.copied.append(("get", list(files), target, directory))
        return [Copied(node, "ok", files=1) for node in self.running(target)]

    def aside(self, work: Callable[[], T], progress: Callable[[], str] = str) -> T:
        result = work()
        self.progress = progress()
        return result

    def print(self, text: str = "") -> None:
        self.said.append(text)

    def table(self, rows: Sequence[Sequence[object]], headers: Sequence[str] = ()) -> None:
        self.tables.append(([[str(cell) for cell in row] for row in rows], list(headers)))

    def error(self, text: str) -> None:
        self.errors.append(text)

    def ask(self, question: str, word: str = "") -> bool:
        self.asked.append(f"{question} {word}".rstrip())
        return self.answer

    def ask_line(self, question: str, otherwise: str = "") -> str | None:
        self.asked.append(f"{question} [{otherwise}]")
        return self.lines.pop(0) or otherwise if self.lines else otherwise

    def ask_secret(self, question: str) -> str | None:
        self.asked.append(question)
        return self.secret

    def set(self, key: str, text: str) -> None:
        self.settings = config.changed(self.settings, key, text)

    def history(self) -> list[str]:
        return self.typed

    logged: Path | None = None

    def log_to(self, folder: Path | None) -> None:
        self.logged = folder

    def leave(self, status: int = 0) -> None:
        self.left = status

    def show_run(self, run: Run, nodes: Sequence[Node], form: str) -> None:
        self.shown.append(([node.name for node in nodes], form))

    def full_screen(self, view: View, running: Callable[[], bool]) -> None:
        self.view, self.is_running = view, running()


def ran(*outputs: tuple[Node, str | None]) -> Run:
    """A run that printed these outputs; None where it still runs."""
    run = Run.on([each for each, _ in outputs], "some line")
    for each, text in outputs:
        result = run.results[each.id]
        if text is not None:
            result.transcript.append(text.encode())
            result.end(0, 0.1)
            run.ended(result)
    return run
