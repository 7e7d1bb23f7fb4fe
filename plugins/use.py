"""use - which nodes a command without a target acts on."""

from __future__ import annotations

from dust.command import Dust, Node, command


@command
def use(dust: Dust, name: str = "") -> None:
    """Choose the working set: one cluster, or all nodes again.

    Usage: use [<name>]

    Alone it lists what there is, and marks what is in use.

    Examples:
      use slurm1
      use *
    """
    cluster = dust.cluster
    if name:
        cluster.use(name)
        return
    rows = [_row("*", cluster.nodes(), not cluster.working_set)]
    for each, nodes in cluster.clusters().items():
        rows.append(_row(each, nodes, each == cluster.working_set))
    dust.table(rows, headers=["", "use", "nodes", "running"])


def _row(name: str, nodes: list[Node], current: bool) -> list[object]:
    return [">" if current else "", name, len(nodes), sum(node.running for node in nodes)]
