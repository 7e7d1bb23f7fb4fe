"""sessions - the live shells on the nodes."""

from __future__ import annotations

import os
from collections.abc import Sequence

from dust.command import Dust, Node, UsageError, command
from dust.link import BUSY, DOWN, READY, UNFINISHED, WAITING

_RUNNING = (BUSY, WAITING, UNFINISHED)


@command
def reconnect(dust: Dust, target: str = "") -> None:
    """Open lost sessions again, in the directory where they were.

    Usage: reconnect [<target>]

    Without a target, all that are down in the working set.
    """
    nodes, lost = _in_state(dust, target, (DOWN,))
    opened = dust.sessions.reconnect([node for node in lost if node.running])
    if opened:
        dust.print(f"{dust.cluster.labels(opened)}: opening again")
    if not lost:
        dust.print(f"no session is down{_on(dust, nodes)}")
    tell = dust.error if target else dust.print
    for node in lost:
        if not node.running:
            tell(f"{dust.cluster.label(node)}: the node is {node.state}; `start` starts it")


@command
def close(dust: Dust, target: str = "") -> None:
    """End sessions and what runs in them.

    Usage: close [<target>]

    Without a target, all of the working set.
    """
    closed = dust.sessions.close(_with_session(dust, target))
    if closed:
        dust.print(f"{dust.cluster.labels(closed)}: closed")
    else:
        dust.print("no session is open there" if target else "no session is open")


@command
def interrupt(dust: Dust, target: str = "") -> None:
    """Press Ctrl-C where something runs.

    Usage: interrupt [<target>]

    Without a target that is in all sessions of the working set.
    """
    _press(dust, target, b"\x03", "Ctrl-C")


@command
def suspend(dust: Dust, target: str = "") -> None:
    """Press Ctrl-Z where something runs.

    Usage: suspend [<target>]

    Without a target that is in all sessions of the working set.

    `@TARGET bg` or `@TARGET fg` goes on with what was stopped.
    """
    _press(dust, target, b"\x1a", "Ctrl-Z")


@command
def enter(dust: Dust, target: str = "") -> None:
    """Press Enter, an empty line, in programs that wait for input.

    Usage: enter [<target>]

    Without a target, in all that are seen to wait; with one, in whatever runs there.
    """
    _press(dust, target, b"\n", "Enter", _RUNNING if target else (WAITING,))


@command
def eof(dust: Dust, target: str = "", f: bool = False) -> None:
    """Press Ctrl-D where something runs.

    Usage: eof [-f] [<target>]

    Without a target that is in all sessions of the working set.

    Options:
      -f  also in sessions where nothing runs, which logs out
    """
    idle = _in_state(dust, target, (READY,))[1]
    if idle and not f:
        names = dust.cluster.labels(idle)
        dust.print(f"{names}: left alone, Ctrl-D would log out there (`eof -f` does)")
    _press(dust, target, b"\x04", "Ctrl-D", (*_RUNNING, READY) if f else _RUNNING)


@command
def secret(dust: Dust, target: str = "") -> None:
    """Type a password, unseen, for the programs that wait for input.

    Usage: secret [<target>]

    Without a target, for all sessions that wait. What is typed goes nowhere else: not to the
    screen, the history or a log.
    """
    nodes, waiting = _in_state(dust, target, (WAITING,))
    if not waiting:
        raise UsageError(f"no session waits for input{_on(dust, nodes)}")
    text = dust.ask_secret(f"for {dust.cluster.labels(waiting)}: ")
    if text is None:
        why = "" if os.isatty(0) else ": a secret is typed at a terminal"
        raise UsageError(f"nothing was sent{why}")
    dust.sessions.keys(waiting, text.encode() + b"\n")


def _press(
    dust: Dust, target: str, key: bytes, name: str, states: Sequence[str] = _RUNNING
) -> None:
    nodes, chosen = _in_state(dust, target, states)
    typed = dust.sessions.keys(chosen, key)
    if typed:
        dust.print(f"{dust.cluster.labels(typed)}: {name}")
    else:
        dust.print(f"nothing runs{_on(dust, nodes)}")


def _on(dust: Dust, nodes: Sequence[Node]) -> str:
    return f" on {dust.cluster.labels(nodes)}" if nodes else ""


def _in_state(dust: Dust, target: str, states: Sequence[str]) -> tuple[list[Node], list[Node]]:
    """The nodes of a target that have a session, and those of them whose session is in a state."""
    nodes = _with_session(dust, target)
    links = dust.sessions.links
    return nodes, [node for node in nodes if links[node.id].state in states]


def _with_session(dust: Dust, target: str) -> list[Node]:
    """The nodes of a target that have a session, be it a lost one; without one, of all.

    A session whose node is no longer listed is among all.
    """
    links = dust.sessions.links
    if target or dust.cluster.working_set:
        return [node for node in dust.select(target) if node.id in links]
    listed = {node.id: node for node in dust.cluster.nodes()} if links else {}
    return [listed.get(id, link.node) for id, link in links.items()]
