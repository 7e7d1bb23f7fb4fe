"""The way to a node where the user's configuration has one of its own, as ssh says it.

Nodes behind a jump host share one connection to it: ssh would log in there anew for each. What the
configuration says of the jump host holds: its own block, a way of its own to get there, and a
connection that it shares by itself.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from dust import ssh
from dust.backend import Backend
from dust.calls import Calls
from dust.errors import DustError
from dust.node import Node

if TYPE_CHECKING:
    from subprocess import Popen

#: Seconds that ssh may take to say what its configuration is: a `Match exec` may take some.
_PATIENCE = 15.0
#: What the last in line prefers, so that whatever else comes out is the user's own.
_PROBE = {"ControlMaster": "auto", "ControlPath": "/nobody/has/this"}


class Jump(NamedTuple):
    """A jump host, as ProxyJump has it (`hops`: it may be a chain), and the way to share it.

    `argv` is the call that opens the connection, `socket` is there when it is open. Both are
    empty where the user shares it by themselves, or each node needs its own.
    """

    hops: str
    config: Path
    argv: tuple[str, ...] = ()
    socket: str = ""

    @property
    def name(self) -> str:
        """What the host is called."""
        return self.hops.rpartition(",")[2]

    def through(self, argv: Sequence[str], log: str = "") -> list[str]:
        """A call for a node, so that it goes by this way; with a file for what fails in it."""
        if self.socket:
            way = ssh.through(self.socket, self.hops, log)
        else:
            way = ssh.past(self.config, self.hops)
        return [argv[0], *way, *argv[1:]]

    def is_open(self) -> bool:
        """Whether there is nothing to be opened, any more."""
        if not self.socket:
            return True
        import socket  # few nodes are behind a jump host

        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.connect(self.socket)
            return True
        return False


class Way(NamedTuple):
    """The way to a node: its jump host, if it has one that is understood.

    `joins`: the user opens a connection at a ControlPath that all calls go through, sessions too.
    """

    jump: Jump | None = None
    joins: bool = False


#: Finds the way to each of some nodes.
Find = Callable[[Sequence[Node]], list[Way]]


def finder(
    calls: Calls,
    backend: Backend,
    nodes: Iterable[Node],
    path: Callable[[str], str],
    seconds: int = 0,
    options: Sequence[str] = (),
    joining: bool = False,
) -> Find | None:
    """What finds the way to nodes, or None where no configuration has one of its own.

    What it returns takes 5 ms of ssh's time a node and may be called in any thread. `calls` are
    such that prefer no sharing, `path` makes the path of a socket of a name that is given, or "";
    `seconds` and `options` are as for `ssh.jump`. It matters what a node joins only if `joining`.
    """
    if not any("ProxyJump" in {**node.ssh, **node.ssh_defaults} for node in nodes):
        matters = {"proxyjump", "controlpath"} if joining else {"proxyjump"}
        if calls.mentioned(backend).isdisjoint(matters):
            return None

    probing = calls.preferring(_PROBE)

    def find(nodes: Sequence[Node]) -> list[Way]:
        answers = list(_answers(_question(calls, backend, node) for node in nodes))
        found: dict[tuple[Path, str], Jump | None] = {}
        ways: list[Way] = []
        for node, answer in zip(nodes, answers, strict=True):
            via = answer.get("proxyjump", "none")
            key = calls.config(backend, node), via
            if key not in found:
                found[key] = None if via == "none" else jump(node, *key)
            ways.append(Way(found[key], joining and _joins(answer)))
        return ways

    def jump(node: Node, config: Path, hops: str) -> Jump | None:
        where = path(f"j{crc32(f'{config} {hops}'.encode()):08x}")
        try:
            ours = [*calls.attended(backend), *options]
            argv = ssh.jump(config, hops, where, seconds, ours)
        except DustError:  # ssh itself may make something of it
            return None
        probe = str(probing.config(backend, node))
        for answer in _answers([ssh.question(["ssh", "-F", probe, *argv[-2:]])]):
            if {key: answer.get(key.lower()) for key in _PROBE} != _PROBE:
                where = ""
        return Jump(hops, config, tuple(argv), where) if where else Jump(hops, config)

    return find


def _joins(answer: Mapping[str, str]) -> bool:
    return answer.get("controlpath", "none") != "none" and answer.get("controlmaster") == "false"


def _question(calls: Calls, backend: Backend, node: Node) -> list[str]:
    try:
        return ssh.question(calls.argv(backend, node, "true"))
    except DustError:  # it is told where the node is called
        return []


def _answers(questions: Iterable[list[str]]) -> Iterator[dict[str, str]]:
    """What configuration each of these calls has, by keyword; nothing where ssh does not say."""
    import subprocess  # most have no jump host

    def ask(argv: list[str]) -> Popen[str] | None:
        with suppress(OSError):
            return subprocess.Popen(
                argv or ["false"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True, errors="replace",
            )  # fmt: skip
        return None

    def answer(process: Popen[str] | None) -> dict[str, str]:
        if process is None:
            return {}
        try:
            said, _ = process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
        rows = (line.partition(" ") for line in said.splitlines())
        return {keyword: value for keyword, _, value in rows}

    running: deque[Popen[str] | None] = deque()
    for argv in questions:
        if len(running) > 2 * (os.cpu_count() or 1):
            yield answer(running.popleft())
        running.append(ask(argv))
    while running:
        yield answer(running.popleft())
