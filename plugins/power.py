"""power - start nodes, stop them, reboot them, remove them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from dust import hostblocks
from dust.backend import Change
from dust.command import Dust, Node, UsageError, command
from dust.errors import Interrupted

#: The states in which there is nothing to do, or nothing can be done.
_DONE = {
    "start": {"running", "pending", "shutting-down", "terminated"},
    "stop": {"stopped", "stopping", "shutting-down", "terminated"},
    "reboot": {"stopped", "stopping", "pending", "shutting-down", "terminated"},
    "terminate": {"shutting-down", "terminated"},
}


@command
def start(
    dust: Dust, target: str = "", y: bool = False, dry_run: bool = False, no_wait: bool = False
) -> None:
    """Start nodes.

    Without a target it is the cluster in use, if there is one.

    Usage: start [-y] [--dry-run] [--no-wait] [<target>]

    Options:
      -y         do not ask
      --dry-run  say which nodes it would be, and leave them alone
      --no-wait  do not follow them until they run

    Examples:
      start worker*
      start state=stop*
      start *            all nodes of the working set
    """
    _act(dust, "start", target, y, dry_run, not no_wait)


@command
def stop(
    dust: Dust, target: str = "", y: bool = False, dry_run: bool = False, no_wait: bool = False
) -> None:
    """Stop nodes, which keep their files.

    Without a target it is the cluster in use, if there is one.

    Usage: stop [-y] [--dry-run] [--no-wait] [<target>]

    Options:
      -y         do not ask
      --dry-run  say which nodes it would be, and leave them alone
      --no-wait  do not follow them until they are stopped

    Examples:
      stop worker[4-5]
      stop cluster=slurm1
      stop *             all nodes of the working set
    """
    _act(dust, "stop", target, y, dry_run, not no_wait)


@command
def reboot(dust: Dust, target: str = "", y: bool = False, dry_run: bool = False) -> None:
    """Reboot nodes that run; their sessions end.

    Without a target it is the cluster in use, if there is one.

    Usage: reboot [-y] [--dry-run] [<target>]

    Options:
      -y         do not ask
      --dry-run  say which nodes it would be, and leave them alone

    Examples:
      reboot worker[4-5]
      reboot *           all nodes of the working set
    """
    _act(dust, "reboot", target, y, dry_run, True)


@command
def terminate(
    dust: Dust, target: str = "", y: bool = False, dry_run: bool = False, no_wait: bool = False
) -> None:
    """Remove nodes for ever, with their files.

    Without a target it is the cluster in use, if there is one.

    Usage: terminate [-y] [--dry-run] [--no-wait] [<target>]

    Options:
      -y         do not ask
      --dry-run  say which nodes it would be, and leave them alone
      --no-wait  do not follow them until they are gone

    Examples:
      terminate worker[4-5]
      terminate -y *     all nodes of the working set, without a question
    """
    _act(dust, "terminate", target, y, dry_run, not no_wait)


def _act(dust: Dust, verb: str, target: str, yes: bool, dry_run: bool, wait: bool) -> None:
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
    what = _what(dust, verb, target, nodes)
    if dry_run:
        ids = [node.id for node in nodes]
        dust.aside(lambda: dust.backend.check(verb, ids))
        dust.print(f"would {what}")
    elif yes or dust.ask(f"{what}?", _word(dust, selected)):
        _carry_out(dust, verb, nodes, wait)
    else:
        dust.error(f"{verb}: nothing was done")


def _what(dust: Dust, verb: str, target: str, nodes: Sequence[Node]) -> str:
    names = dust.cluster.labels(nodes)
    group = "" if target not in ("", "*") else f" of {dust.cluster.working_set or 'all clusters'}"
    where = f" in {dust.backend.label}" if dust.backend.region else ""
    return f"{verb} {len(nodes)} node{'' if len(nodes) == 1 else 's'}{group}{where}: {names}"


def _word(dust: Dust, selected: Sequence[Node]) -> str:
    """What has to be typed instead of a yes: the name of a region, if it is about all of it."""
    everything = len(selected) == len(dust.cluster.nodes()) > 1
    return dust.backend.region if everything and not dust.cluster.working_set else ""


class _Following:
    """Follows nodes to their end, as long as somebody waits for it."""

    def __init__(self, verb: str, wait: bool) -> None:
        self.wait = wait
        self._verb = verb
        self._states: Mapping[str, str] = {}
        self._begun = time.monotonic()

    def __call__(self, states: Mapping[str, str]) -> bool:
        self._states = dict(states)
        return self.wait

    def progress(self) -> str:
        """How many are in which state by now."""
        counts = Counter(self._states.values())
        states = [f"{count} {state}" for state, count in sorted(counts.items())]
        return f"{self._verb}: {', '.join([*states, f'{time.monotonic() - self._begun:.0f} s'])}"


def _carry_out(dust: Dust, verb: str, nodes: Sequence[Node], wait: bool) -> None:
    """One call for all nodes, then a report on each; their sessions end with them.

    Only then: a node that cannot be stopped keeps its session and what runs there.
    """
    changes = _changed(dust, verb, nodes, wait)
    by_id = {node.id: node for node in nodes}
    changed = [(by_id[change.id], change) for change in changes if change.id in by_id]
    if verb != "start":
        dust.sessions.close([node for node, change in changed if not change.error])
    failed = _grouped((change.error, node) for node, change in changed if change.error)
    ended = _grouped((change.state, node) for node, change in changed if not change.error)
    for error, some in failed.items():
        dust.error(f"{dust.cluster.labels(some)}: {error}")
    for state, some in ended.items():
        dust.print(f"{dust.cluster.labels(some)}: {state}")
    dust.cluster.update(changes)
    hostblocks.keep_current(dust.cluster)


def _changed(dust: Dust, verb: str, nodes: Sequence[Node], wait: bool) -> list[Change]:
    backend, ids = dust.backend, [node.id for node in nodes]
    calls = {
        "start": backend.start,
        "stop": backend.stop,
        "reboot": backend.reboot,
        "terminate": backend.terminate,
    }
    if not backend.region:  # it is this machine, which is quick
        return calls[verb](ids)
    following = _Following(verb, wait)
    try:
        return dust.aside(lambda: calls[verb](ids, following), following.progress)
    except Interrupted:
        dust.error(f"{verb}: no longer followed; `refresh` tells what became of the nodes")
        raise
    finally:
        following.wait = False


def _by_state(dust: Dust, nodes: Sequence[Node]) -> str:
    states = _grouped((node.state, node) for node in nodes)
    return ", ".join(f"{dust.cluster.labels(some)} {state}" for state, some in states.items())


def _grouped(pairs: Iterable[tuple[str, Node]]) -> dict[str, list[Node]]:
    groups: dict[str, list[Node]] = {}
    for key, node in pairs:
        groups.setdefault(key, []).append(node)
    return groups
