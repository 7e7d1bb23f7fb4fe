"""Host blocks of ssh_config for nodes, so that plain ssh, rsync and git reach them by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dust import config, ssh
from dust.cluster import Cluster
from dust.errors import ConfigError, SessionError
from dust.node import Node

_BEGIN = "# Nodes of "
_HEAD = _BEGIN + "{}, written by dust (sshconfig write); it is written anew when they change."


def path() -> Path:
    """The file that is written, for the user's own configuration to include."""
    return config.home() / "ssh_config"


def blocks(
    nodes: Sequence[Node], shared: Mapping[str, str], cluster: Cluster
) -> tuple[list[str], list[str]]:
    """The blocks of nodes, and why others have none; `shared` keywords go into each.

    A node goes by its name, unless others have it too, and by its id.
    """
    made: list[str] = []
    problems: list[str] = []
    for node in nodes:
        try:
            facts = {**node.ssh, **node.ssh_defaults}
            if facts:
                unique = cluster.label(node) == node.name
                made.append(ssh.block(node, {**facts, **shared}, by_name=unique))
        except SessionError as error:
            problems.append(str(error))
    return made, problems


def write(cluster: Cluster) -> tuple[int, list[str]]:
    """Write the file for the working set: how many blocks, and why nodes have none.

    Raises ConfigError, also where the file is somebody else's.
    """
    if (head := _head()) is not None and not head.startswith(_BEGIN):
        raise ConfigError("dust did not write this file: rename or remove it first", path())
    made, problems = blocks(cluster.working(), cluster.backend.ssh_defaults, cluster)
    text = "\n".join([_HEAD.format(cluster.backend.name), *made])
    config.write_whole(path(), text + "\n")
    return len(made), problems


def keep_current(cluster: Cluster) -> None:
    """Write the file anew, if it was written for nodes of the same backend. Raises ConfigError."""
    if _head() == _HEAD.format(cluster.backend.name):
        write(cluster)


def _head() -> str | None:
    """The first line of the file; None if there is none."""
    try:
        with path().open(errors="replace") as file:
            return file.readline().rstrip("\n")
    except OSError:
        return None
