"""results - what lines on nodes have printed."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import unified_diff

from dust.command import Dust, Node, UsageError, command
from dust.errors import TargetError
from dust.plain import strip_colours
from dust.run import Run


@command
def output(dust: Dust, stream: bool = False, block: bool = False, fold: bool = False) -> None:
    """Say or choose how output of nodes is shown.

    Usage: output [stream | block | fold]

    stream  line by line, as it comes
    block   node by node, as each ends
    fold    identical outputs once, under the names of their nodes, when all have ended
    """
    chosen = [form for form, on in [("stream", stream), ("block", block), ("fold", fold)] if on]
    if chosen:
        dust.set("output", chosen[0])
    else:
        dust.print(dust.settings.output)


@command
def last(dust: Dust, target: str = "", block: bool = False, fold: bool = False) -> None:
    """Show what the last line on nodes has printed, node by node.

    Usage: last [--block | --fold] [<target>]

    Options:
      --block  node by node, as without an option
      --fold   identical outputs once, under the names of their nodes
    """
    _show(dust, target, "fold" if fold else "block")


@command
def fold(dust: Dust, target: str = "") -> None:
    """Show what the last line has printed, identical outputs once.

    Usage: fold [<target>]
    """
    _show(dust, target, "fold")


@command
def diff(dust: Dust, target: Sequence[str] = ()) -> None:
    """Show how outputs of the last line differ.

    Usage: diff [<target> [<target>]]

    Each is compared with what most nodes have printed; with two targets, the second is compared
    with the first. Files of this machine are compared by `!diff`.

    Examples:
      diff
      diff worker*
      diff worker1 worker2
    """
    run = _last(dust)
    chosen = [_nodes_of(dust, run, each) for each in target or ("",)]
    bases = _groups(run, chosen[0])
    others = [group for group in _groups(run, chosen[-1]) if group[1] != bases[0][1]]
    if not others:
        everywhere = list({node.id: node for nodes in chosen for node in nodes}.values())
        dust.print(f"{_header(dust, everywhere)}: no difference")
    for nodes, text in others:
        _print_diff(dust, bases[0], (nodes, text))
    _name_stragglers(dust, run, [node for nodes in chosen for node in nodes])


def _print_diff(dust: Dust, old: tuple[list[Node], str], new: tuple[list[Node], str]) -> None:
    names = _header(dust, old[0]), _header(dust, new[0])
    for line in unified_diff(old[1].splitlines(), new[1].splitlines(), *names, lineterm=""):
        dust.print(line)


def _groups(run: Run, nodes: Sequence[Node]) -> list[tuple[list[Node], str]]:
    """The nodes by equal output, largest group first."""
    ids = {node.id for node in nodes}
    groups: dict[str, list[Node]] = {}
    for members, data in run.folded():
        if some := [node for node in members if node.id in ids]:
            text = strip_colours(data).decode("utf-8", "replace")
            groups.setdefault(text, []).extend(some)
    return sorted(((some, text) for text, some in groups.items()), key=lambda each: -len(each[0]))


def _header(dust: Dust, nodes: Sequence[Node]) -> str:
    return f"{dust.cluster.labels(nodes)} ({len(nodes)})"


def _show(dust: Dust, target: str, form: str) -> None:
    run = _last(dust)
    nodes = _nodes_of(dust, run, target)
    dust.show_run(run, nodes, form)
    if not _name_stragglers(dust, run, nodes):
        dust.print(run.summary(nodes))


def _name_stragglers(dust: Dust, run: Run, nodes: Sequence[Node]) -> bool:
    ids = {node.id for node in nodes}
    if late := [node for node in run.unfinished() if node.id in ids]:
        dust.print(f"{dust.cluster.labels(late)}: still running")
    return bool(late)


def _last(dust: Dust) -> Run:
    if dust.last is None:
        raise UsageError("no line was sent to nodes yet")
    return dust.last


def _nodes_of(dust: Dust, run: Run, target: str) -> list[Node]:
    """The nodes of a run that a target selects; without a target all, also those gone since."""
    nodes = [result.node for result in run.results.values()]
    if not target:
        return nodes
    ids = {node.id for node in dust.select(target)}
    if not ids.intersection(run.results):
        raise TargetError(f"{target} had no part in the last line: {dust.cluster.labels(nodes)}")
    return [node for node in nodes if node.id in ids]
