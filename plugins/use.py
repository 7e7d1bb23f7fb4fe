"""use - which nodes a command without a target acts on."""

from __future__ import annotations

import re
from difflib import get_close_matches

from dust import hostblocks
from dust.command import Dust, Node, UsageError, command

_REGION = re.compile(r"[a-z]+(-[a-z]+)+-\d+")


@command
def use(dust: Dust, cluster: str = "") -> None:
    """Choose the working set: a cluster, all nodes, or a region.

    Usage: use [<cluster>]

    Alone it lists what there is, and marks what is in use. A region of a cloud is known by its
    name, such as us-west-1; sessions in the region before stay as they are.

    Examples:
      use slurm1
      use *
      use us-west-1
    """
    if not cluster:
        _list(dust)
    elif _is_region(dust, cluster):
        dust.cluster.move(cluster)
        nodes = dust.cluster.nodes()
        dust.print(f"{len(nodes)} node{'' if len(nodes) == 1 else 's'} in {dust.backend.label}")
        hostblocks.keep_current(dust.cluster)
    else:
        dust.cluster.use(cluster)
        hostblocks.keep_current(dust.cluster)


def _is_region(dust: Dust, name: str) -> bool:
    """Whether a region is meant; a cluster of that name comes first where it is known."""
    if not dust.backend.region or not _REGION.fullmatch(name):
        return False
    if any(node.cluster == name for node in dust.cluster.known()):
        return False
    known = dust.aside(dust.backend.regions)
    if name not in known:
        close = get_close_matches(name, known, 1)
        hint = f"; did you mean {close[0]}?" if close else f": there are {', '.join(known)}"
        raise UsageError(f"no region {name}{hint}")
    return True


def _list(dust: Dust) -> None:
    cluster = dust.cluster
    rows = [_row("*", cluster.nodes(), not cluster.working_set)]
    for each, nodes in cluster.clusters().items():
        rows.append(_row(each, nodes, each == cluster.working_set))
    dust.table(rows, headers=["", "use", "nodes", "running"])
    if others := [name for name in dust.aside(dust.backend.regions) if name != dust.backend.region]:
        dust.print(f"or another region: {', '.join(others)}")


def _row(name: str, nodes: list[Node], current: bool) -> list[object]:
    return [">" if current else "", name, len(nodes), sum(node.running for node in nodes)]
