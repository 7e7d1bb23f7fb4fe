"""The way to nodes behind a jump host: one connection to it, opened before theirs."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Sequence

from dust.admission import Admission
from dust.aside import Aside
from dust.errors import SessionError
from dust.jumps import Find, Jump, Way
from dust.link import CONNECTING, DOWN, READY, Link
from dust.node import Node
from dust.pipes import Pipes

#: For so many nodes at a time the way to them is found out.
CHUNK = 16


class Approach:
    """The jump hosts of one dust.

    `ways` gives what finds the way to some nodes, or None where no configuration has any.
    """

    def __init__(
        self,
        pipes: Pipes,
        admission: Admission,
        ways: Callable[[Sequence[Node]], Find | None],
    ) -> None:
        self._pipes = pipes
        self._admission = admission
        self._ways = ways
        self._hosts: dict[str, Link] = {}

    @property
    def hosts(self) -> list[Link]:
        """The connections to jump hosts."""
        return list(self._hosts.values())

    def admit(self, links: Sequence[Link]) -> None:
        """Let these sessions connect, those behind a jump host once it is reached."""

        def go(at: int, hosts: Sequence[Link | None], ways: Sequence[Way]) -> None:
            for link, host, way in zip(links[at : at + CHUNK], hosts, ways, strict=True):
                link.joins = way.joins
                if host is not None:
                    link.host = host
                    host.behind = [each for each in host.behind if each.state != DOWN] + [link]
                if host is None or host.state == READY:
                    self._admission.add(link)

        self._find([link.node for link in links], go)

    def reach(self, nodes: Sequence[Node]) -> Reach:
        """Open the way to these nodes for what is no session."""
        reach = Reach(len(nodes))
        self._find(nodes, lambda at, hosts, ways: reach.found(nodes[at : at + CHUNK], hosts))
        return reach

    def _find(
        self,
        nodes: Sequence[Node],
        found: Callable[[int, Sequence[Link | None], Sequence[Way]], None],
    ) -> None:
        """Find the way to a chunk of nodes after the other, and begin to reach jump hosts."""
        find = self._ways(nodes)
        if find is None:
            for at in range(0, len(nodes), CHUNK):
                count = len(nodes[at : at + CHUNK])
                found(at, [None] * count, [Way()] * count)
            return

        def next(at: int) -> None:
            chunk = nodes[at : at + CHUNK]
            if not chunk:
                return
            aside = Aside(lambda: find(chunk))

            def ready(_: int) -> None:
                self._pipes.watch(aside.pipe, 0, ready)
                aside.pipe.close()
                ways = aside.result()
                found(at, [self._host(way.jump) if way.jump else None for way in ways], ways)
                next(at + CHUNK)

            self._pipes.watch(aside.pipe, selectors.EVENT_READ, ready)

        next(0)

    def _host(self, jump: Jump) -> Link:
        """The connection to a jump host, which is opened if it is not."""
        if not jump.socket:
            return Link(Node(jump.name, jump.name, ""), state=READY, jump=jump)
        host = self._hosts.get(jump.socket)
        if host is None or host.state == DOWN:
            host = Link(Node(jump.name, jump.socket, ""), jump=jump, silent=True)
            self._hosts[jump.socket] = host
            self._admission.add(host)
        return host


class Reach:
    """The way to some nodes, once it is `done`."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._hosts: dict[str, Link | None] = {}

    def found(self, nodes: Sequence[Node], hosts: Sequence[Link | None]) -> None:
        """These nodes are behind these hosts."""
        self._hosts.update(zip((node.id for node in nodes), hosts, strict=True))

    @property
    def done(self) -> bool:
        """Whether each host is reached, or cannot be."""
        hosts = self._hosts.values()
        return len(hosts) == self._count and not any(
            host and host.state == CONNECTING for host in hosts
        )

    def call(self, node: Node, argv: list[str]) -> list[str]:
        """A call for a node, by that way. Raises SessionError where there is none."""
        host = self._hosts[node.id]
        if host is None or host.jump is None:
            return argv
        if host.state != READY:
            raise SessionError(node.name, f"its jump host {host.node.name}: {host.reason}")
        return host.jump.through(argv)
