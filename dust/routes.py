"""How this dust gets to nodes: its calls of ssh, by what they share, and the ways by jump hosts."""

from __future__ import annotations

from collections.abc import Sequence

from dust import jumps, ssh
from dust.backend import Backend
from dust.calls import Calls
from dust.node import Node
from dust.sharing import Sharing


class Routes:
    """Nothing is made before something is asked for. `lends` is as for Sharing."""

    def __init__(self, *, lends: bool) -> None:
        self._lends = lends
        self._made: Sharing | None = None
        self._calls: dict[str, Calls] = {}

    def session(self, backend: Backend, node: Node, command: str) -> list[str]:
        """The call that opens a session, which later calls may go through."""
        return self._own("session").argv(backend, node, command)

    def other(self, backend: Backend, node: Node, command: str, subsystem: bool) -> list[str]:
        """A call without a terminal, through the connection of the node's session if it has one."""
        calls = self._own("other")
        return calls.argv(backend, node, command, tty=False, subsystem=subsystem)

    def ways(self, backend: Backend, nodes: Sequence[Node]) -> jumps.Find | None:
        """What finds the way to nodes, or None where no configuration has one of its own."""
        calls = self._own("alone")
        return jumps.finder(calls, backend, nodes, self._sharing.path, joining=True)

    def askpass(self) -> str:
        """The path of a further socket by which an ssh may ask, or "" where there is no room."""
        return self._sharing.askpass()

    @property
    def lent(self) -> bool:
        """Whether one-shots are under way that may go through the sessions' connections."""
        return self._made is not None and self._made.lent

    def close(self) -> None:
        """Remove what was made."""
        if self._made is not None:
            self._made.close()

    def _own(self, flavour: str) -> Calls:
        """The calls of this dust, by how they use its sockets."""
        sharing = self._sharing
        if not self._calls:
            flavours = {"session": sharing.sessions(), "other": sharing.others(), "alone": {}}
            alone = Calls(ssh.DEFAULTS, sharing.write)
            self._calls = {name: alone.preferring(shared) for name, shared in flavours.items()}
        return self._calls[flavour]

    @property
    def _sharing(self) -> Sharing:
        if self._made is None:
            self._made = Sharing(lends=self._lends)
        return self._made
