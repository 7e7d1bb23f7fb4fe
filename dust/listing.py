"""How a far backend's nodes are listed: before somebody asks, or while the sessions go on."""

from __future__ import annotations

from collections.abc import Callable

from dust.aside import Aside
from dust.backend import Backend
from dust.cluster import Cluster
from dust.node import Node
from dust.waiter import Waiter


class Listing:
    """Has the backend of a cluster asked, in a thread where it is far away."""

    def __init__(self, cluster: Cluster, waiter: Waiter) -> None:
        self._cluster = cluster
        self._waiter = waiter
        self._ahead: tuple[Backend, Aside[list[Node]]] | None = None

    def begin(self) -> None:
        """Begin to list far nodes, if no listing was kept, before somebody asks for them."""
        backend = self._cluster.backend
        if backend.region and self._ahead is None and not self._cluster.listed:
            self._ahead = backend, Aside(backend.nodes)

    def ready(self) -> bool:
        """Whether nodes can be had without waiting; if not, they are begun to be listed."""
        self.begin()
        return not self._cluster.backend.region or self._cluster.listed

    def ask(self, ask: Callable[[], list[Node]]) -> list[Node]:
        """What the cluster asks of its backend."""
        return self._wait(Aside(ask)) if self._cluster.backend.region else ask()

    def settle(self) -> None:
        """Wait for the listing that was begun ahead; what it had to say, the backend kept."""
        ahead, self._ahead = self._ahead, None
        if ahead and ahead[0] is self._cluster.backend and not ahead[1].done:
            self._wait(ahead[1])

    def _wait(self, work: Aside[list[Node]]) -> list[Node]:
        label = self._cluster.backend.label
        return self._waiter.aside(work, lambda: f"asking {label} ...")
