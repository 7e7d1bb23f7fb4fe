"""power - start nodes, stop them, reboot them, remove them."""

from __future__ import annotations

from collections.abc import Sequence

from dust.command import Dust, Node, UsageError, command

#: The states in which there is nothing to do, or nothing can be done.
_DONE = {
    "start": {"running", "pending", "shutting-down", "terminated"},
    "stop": {"stopped", "stopping", "shutting-down", "terminated"},
    "reboot": {"stopped", "stopping", "pending", "shutting-down", "terminated"},
    "terminate": {"shutting-down", "terminated"},
}


@command
def start(dust: Dust, target: str = "", y: bool = False) -> None:
    """Start nodes.

    Without a target it is the cluster in use, if there is one.

    Usage: start [-y] [<target>]

    Options:
      -y  do not ask

    Examples:
      start worker*
      start state=stop*
      start *            all nodes of the working set
    """
    _act(dust, "start", target, y)


@command
def stop(dust: Dust, target: str = "", y: bool = False) -> None:
    """Stop nodes, which keep their files.

    Without a target it is the cluster in use, if there is one.

    Usage: stop [-y] [<target>]

    Options:
      -y  do not ask

    Examples:
      stop worker[4-5]
      stop cluster=slurm1
      stop *             all nodes of the working set
    """
    _act(dust, "stop", target, y)


@command
def reboot(dust: Dust, target: str = "", y: bool = False) -> None:
    """Reboot nodes that run; their sessions end.

    Without a target it is the cluster in use, if there is one.

    Usage: reboot [-y] [<target>]

    Options:
      -y  do not ask

    Examples:
      reboot worker[4-5]
      reboot *           all nodes of the working set
    """
    _act(dust, "reboot", target, y)


@command
def terminate(dust: Dust, target: str = "", y: bool = False) -> None:
    """Remove nodes for ever, with their files.

    Without a target it is the cluster in use, if there is one.

    Usage: terminate [-y] [<target>]

    Options:
      -y  do not ask

    Examples:
      terminate worker[4-5]
      terminate -y *     all nodes of the working set, without a question
    """
    _act(dust, "terminate", target, y)


def _act(dust: Dust, verb: str, target: str, yes: bool) -> None:
    dust.cluster.update()  # a listing from before may be wrong about what runs
    if not target and not dust.cluster.working_set:
        count = len(dust.select("*"))
        raise UsageError(
            f"{verb} which nodes? No cluster is in use: type `{verb} TARGET`, "
            f"`{verb} *` for all {count} nodes, or first `use CLUSTER`"
        )
    selected = dust.select(target)
    nodes = [node for node in selected if node.state not in _DONE[verb]]
    if not nodes:
        dust.print(f"nothing to do: {_by_state(dust, selected)}")
        return
    if not yes and not dust.ask(_question(dust, verb, target, nodes)):
        dust.error(f"{verb}: nothing was done")
        return
    _carry_out(dust, verb, nodes)


def _question(dust: Dust, verb: str, target: str, nodes: Sequence[Node]) -> str:
    names = dust.cluster.labels(nodes)
    where = "" if target not in ("", "*") else f" of {dust.cluster.working_set or 'all clusters'}"
    plural = "" if len(nodes) == 1 else "s"
    return f"{verb} {len(nodes)} node{plural}{where}: {names}?"


def _carry_out(dust: Dust, verb: str, nodes: Sequence[Node]) -> None:
    """One call for all nodes, then a report on each; their sessions end with them.

    Only then: a node that cannot be stopped keeps its session and what runs there.
    """
    backend = dust.backend
    calls = {
        "start": backend.start,
        "stop": backend.stop,
        "reboot": backend.reboot,
        "terminate": backend.terminate,
    }
    changes = calls[verb]([node.id for node in nodes])
    by_id = {node.id: node for node in nodes}
    changed = [(by_id[change.id], change) for change in changes if change.id in by_id]
    if verb != "start":
        dust.sessions.close([node for node, change in changed if not change.error])
    ended: dict[str, list[Node]] = {}
    for node, change in changed:
        if change.error:
            dust.error(f"{dust.cluster.label(node)}: {change.error}")
        else:
            ended.setdefault(change.state, []).append(node)
    for state, some in ended.items():
        dust.print(f"{dust.cluster.labels(some)}: {state}")
    dust.cluster.update(changes)


def _by_state(dust: Dust, nodes: Sequence[Node]) -> str:
    states: dict[str, list[Node]] = {}
    for node in nodes:
        states.setdefault(node.state, []).append(node)
    return ", ".join(f"{dust.cluster.labels(some)} {state}" for state, some in states.items())
