"""Nodes with what the files of clusters say of them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from dust import clusterfile
from dust.clusterfile import ClusterFile
from dust.errors import ConfigError, TargetError
from dust.node import Node
from dust.nodeset import split


class ClusterFiles:
    """All files, as they were when last read."""

    def __init__(self) -> None:
        #: The clusters, the one of the highest precedence first.
        self.files: list[ClusterFile] = []
        #: What is wrong with files; a damaged one holds as it was when it was last read whole.
        self.problems: list[str] = []
        self._good: dict[Path, ClusterFile] = {}

    def read(self) -> None:
        """Read what there is; never raises."""
        self.problems = []
        good: dict[Path, ClusterFile] = {}
        for path in clusterfile.paths():
            try:
                good[path] = clusterfile.read(path)
            except ConfigError as error:
                self.problems.append(str(error))
                if path in self._good:
                    good[path] = self._good[path]
        self._good = good
        self.files = sorted(good.values(), key=lambda file: (-file.precedence, file.name))

    def precedence(self, last: bool) -> int:
        """That of a new file: before all others or, if it is to be `last`, behind them."""
        taken = [0, *(file.precedence for file in self.files)]
        return min(taken) - 1 if last else max(taken) + 1

    def applied(self, nodes: Sequence[Node], backend: str, region: str) -> list[Node]:
        """The nodes with what the files say of them; those of a file come first, by name."""
        left = {node.id: node for node in nodes}
        taken: list[Node] = []
        for file in self.files:
            if file.backend in ("", backend) and file.region in ("", region):
                chosen = [node for node in selected(file.filter, nodes) if node.id in left]
                taken += [_assigned(left.pop(node.id), file) for node in chosen]
        taken.sort(key=lambda node: (node.cluster, _natural(node.name)))
        return [*taken, *left.values()]


def selected(filter: str, nodes: Sequence[Node]) -> list[Node]:
    """The nodes that a filter selects by what their source says of them; none is no error."""
    from dust.targets import View, select

    try:
        return select(filter, View(nodes=nodes)) if nodes else []
    except TargetError:  # nobody has such a name or property; of several names others may be there
        parts = split(filter)
        ids = {node.id for part in parts for node in selected(part, nodes)} if parts[1:] else ()
        return [node for node in nodes if node.id in ids]


def _assigned(node: Node, file: ClusterFile) -> Node:
    facts, guesses, details = node.ssh, node.ssh_defaults, node.details
    if file.username:
        facts = {**facts, "User": file.username}
        details = {**details, "username": file.username}
    if file.key:
        path = os.path.expanduser(file.key)
        details = {**details, "keyfile": path}
        facts = {**facts, "IdentityFile": f'"{path.replace("%", "%%")}"'}
        # An agent may hold more keys than a server hears of.
        guesses = {**guesses, "IdentitiesOnly": "yes"}
    name = file.names.get(node.id, node.name)
    where = node.ip, node.private_ip, file.name
    what = node.tags, details, facts, guesses
    return Node(name, node.id, node.backend, node.state, node.type, *where, *what)


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]+)", name[:200])
    return [
        (int(part), "") if part.isascii() and part.isdecimal() else (-1, part) for part in parts
    ]
