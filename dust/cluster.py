"""The nodes of a backend: listed once, numbered, grouped in clusters, selected by targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from dust.assigned import ClusterFiles
from dust.backend import Backend, Change
from dust.errors import TargetError
from dust.near import near
from dust.node import Node
from dust.nodeset import fold
from dust.run import Run

if TYPE_CHECKING:
    from dust.groups import Groups


class Cluster:
    """All nodes of one backend, and which of them a command without a target acts on.

    The backend is asked when nodes are first needed, unless it has kept a listing, and again by
    `refresh` and `update` only.
    """

    def __init__(self, backend: Backend, groups: Groups | None = None, use: str = "") -> None:
        """Ask nothing yet; `groups` are the node groups for `@group` in targets.

        The cluster to `use` need not be there; `*` and "" are all nodes.
        """
        self.backend = backend
        self.groups = groups
        #: What the user's files say about clusters.
        self.files = ClusterFiles()
        #: Told what is wrong with a file, once until the next `refresh`.
        self.warn: Callable[[str], None] = lambda text: None
        #: Waits for a listing that has been begun, if there is one; the backend has kept it then.
        self.settle: Callable[[], None] = lambda: None
        #: Has the backend asked; replaced where that must not keep the sessions waiting.
        self.ask: Callable[[Callable[[], list[Node]]], list[Node]] = lambda asked: asked()
        #: The cluster that is in use, or "" for all nodes.
        self.working_set = "" if use == "*" else use
        #: How to get at all nodes from there.
        self.way_out = "`use *` takes in all nodes"
        #: What the session of a node (by id) does now: `ready`, `busy`, ... or "" without one.
        self.state_of: Callable[[str], str] = lambda id: ""
        #: Why the session of a node (by id) is down; "" if it is not.
        self.why_down: Callable[[str], str] = lambda id: ""
        #: The last run, for `%ok` and the like.
        self.last: Run | None = None
        #: When the listing was made (seconds since 1970) if it was kept from an earlier dust.
        self.made: float | None = None
        self._listing: list[Node] = []  # as the backend has them
        self._nodes: list[Node] | None = None
        self._warned: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._shared: frozenset[str] = frozenset()  # names that several nodes have

    # --- listing

    def nodes(self) -> list[Node]:
        """All nodes, in the backend's order. Raises `BackendError` where it cannot list them."""
        if not self.listed:
            self.settle()
        return list(self._nodes or ()) if self.listed else self.refresh()

    @property
    def listed(self) -> bool:
        """Whether the nodes are known, if only from an earlier dust: `nodes` takes no time then."""
        if self._nodes is None and (kept := self.backend.kept()):
            self._take(*kept)
        return self._nodes is not None

    def known(self) -> list[Node]:
        """The nodes as far as they were listed; never asks the backend."""
        return list(self._nodes or ())

    def refresh(self) -> list[Node]:
        """Ask the backend for its nodes and number them anew; after an error all is as before."""
        nodes = self.ask(self.backend.nodes)
        if self.groups:
            self.groups.forget()
        self._numbers = {}
        self._warned.clear()
        self._take(nodes)
        return self.known()

    def update(self, changes: Iterable[Change] = ()) -> None:
        """Take up what became of nodes, and what else the backend has to say; numbers stay.

        A node that is new gets the next number; one that is gone is no longer listed.
        """
        states = {change.id: change.state for change in changes if not change.error}

        def changed(nodes: Iterable[Node]) -> list[Node]:
            return [n._replace(state=states[n.id]) if n.id in states else n for n in nodes]

        if self._nodes is not None:  # what is known holds, also if the backend cannot be asked
            self._nodes = changed(self._nodes)
            self._listing = changed(self._listing)
        self._take(changed(self.ask(self.backend.nodes)))

    def assign(self) -> None:
        """Take up what the files of clusters say, without asking the backend; numbers stay."""
        if self.listed:
            self._take(self._listing, self.made)

    def unassigned(self) -> list[Node]:
        """All nodes as the backend has them, without what the files of clusters say."""
        self.nodes()
        return list(self._listing)

    def _take(self, listing: list[Node], made: float | None = None) -> None:
        self.files.read()
        nodes = self.files.applied(listing, self.backend.name, self.backend.region)
        self._listing, self._nodes = listing, nodes
        self.made = made
        for problem in self.files.problems:
            if problem not in self._warned:
                self._warned.add(problem)
                self.warn(problem)
        for node in nodes:
            self._numbers.setdefault(node.id, len(self._numbers) + 1)
        names = Counter(node.name for node in nodes)
        self._shared = frozenset(name for name, count in names.items() if count > 1)

    def number(self, node: Node) -> int:
        """The number of a listed node, from 1: the first column of `show`."""
        return self._numbers[node.id]

    def label(self, node: Node) -> str:
        """What tells a node from all others: its name, or `name~id` where others have it too."""
        return f"{node.name}~{node.id}" if node.name in self._shared else node.name

    def labels(self, nodes: Iterable[Node]) -> str:
        """The labels of nodes in short form, such as `master,worker[1-3]`."""
        return fold(self.label(node) for node in nodes)

    # --- clusters

    def clusters(self) -> dict[str, list[Node]]:
        """The nodes of each cluster, in the order in which the backend has them."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes():
            for name in node.clusters:
                found.setdefault(name, []).append(node)
        return found

    def use(self, name: str) -> None:
        """Make a cluster the working set; `*` is all nodes. Raises `TargetError`."""
        if name == "*":
            self.working_set = ""
            return
        names = list(self.clusters())
        if name not in names:
            close = near(name, names)
            hint = f"did you mean {close[0]}?" if close else _there_are(names)
            raise TargetError(f"no cluster {name}; {hint}")
        self.working_set = name

    def working(self) -> list[Node]:
        """The nodes of the working set, in any state; none if its cluster is gone."""
        if not self.working_set:
            return self.nodes()
        return [node for node in self.nodes() if self.working_set in node.clusters]

    def move(self, region: str) -> None:
        """Take the nodes of another region, all of them; after an error all is as before."""
        before = {**vars(self)}
        self.backend, self.working_set = self.backend.elsewhere(region), ""
        self._nodes, self._numbers = None, {}
        try:
            self.nodes()
        except BaseException:
            vars(self).update(before)
            raise

    # --- selecting

    def select(self, target: str) -> list[Node]:
        """The nodes of the working set that a target selects, in any state.

        An empty target and `*` select them all. Raises `TargetError` if there are none, or where
        the target is malformed.
        """
        nodes = self.working()
        if target.strip() in ("", "*"):
            if not nodes:
                raise TargetError(self.nothing())
            return nodes
        try:
            return self._select(target, nodes)
        except TargetError as error:
            if not nodes and error.position is None:
                raise TargetError(self.nothing()) from error
            if self.working_set and error.position is None and self._exists(target):
                raise TargetError(
                    f"{target} selects nothing of {self.working_set}, the cluster in use; "
                    f"{self.way_out}"
                ) from error
            raise

    def running(self, target: str) -> list[Node]:
        """The running nodes of a target: those that `@` reaches. Raises `TargetError` if none."""
        return self._running(target, self.select(target))

    def _running(self, target: str, nodes: list[Node]) -> list[Node]:
        running = [node for node in nodes if node.running]
        if not running:
            counts = Counter(node.state for node in nodes)
            states = ", ".join(f"{count} {state}" for state, count in counts.items())
            target = target.strip()
            what = self.working_set or "this working set" if target in ("", "*") else target
            raise TargetError(f"no node of {what} is running: {states}; `start` starts nodes")
        return running

    def addressed(self, target: str) -> list[Node]:
        """The nodes that something is sent to: the running ones, and those the target spells out.

        It fails on those of them that do not run. Raises `TargetError` if none runs.
        """
        nodes = self.select(target)
        running = self._running(target, nodes)
        if len(running) == len(nodes) or target.strip() in ("", "*"):
            return running
        from dust.targets import spelled

        numbers = {number: id for id, number in self._numbers.items()}
        wanted = {node.id for node in spelled(target, nodes, numbers)}
        return [node for node in nodes if node.running or node.id in wanted]

    def nothing(self) -> str:
        """Say that the working set has no nodes, and why."""
        if self.working_set:
            return f"no node is in the cluster {self.working_set}; {self.way_out}"
        return f"there are no nodes in {self.backend.label}"

    def _select(self, target: str, nodes: list[Node]) -> list[Node]:
        from dust.targets import View, select  # all nodes need none of it

        results = self.last.results if self.last else {}
        differs: set[str] = set()
        if self.last and "%differs" in target:  # all output is compared for it
            differs = {node.id for group, _ in self.last.folded()[1:] for node in group}
        view = View(
            nodes=nodes,
            numbers={number: id for id, number in self._numbers.items()},
            state_of=self.state_of,
            last={id: result.state for id, result in results.items()},
            differs=differs,
            group=self.groups.members if self.groups else None,
        )
        return select(target, view)

    def _exists(self, target: str) -> bool:
        try:
            return bool(self._select(target, self.nodes()))
        except TargetError:
            return False


def _there_are(names: list[str]) -> str:
    if not names:
        return "no node is in a cluster"
    return f"there {'is' if len(names) == 1 else 'are'} {' and '.join(names)}"
