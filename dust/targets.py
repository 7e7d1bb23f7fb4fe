"""What a target selects from the nodes of a working set. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from dust.errors import TargetError
from dust.expr import SESSION_WORDS, All, Expr, Group, Name, Numbers, Pair, Property, format, parse
from dust.glob import Glob
from dust.node import Node


def _nothing(_: str) -> str:
    return ""


def _no_groups(name: str) -> list[str]:
    raise TargetError(f"@{name}: there are no node groups")


@dataclass(frozen=True)
class View:
    """What targets select from.

    `nodes` are the working set in order, `numbers` node ids by number, `state_of` what a session
    does (by id, "" for none), `last` the outcome of the last run by id, `differs` the ids whose
    output there was not what most had, `group` the names in a node group.
    """

    nodes: Sequence[Node]
    numbers: Mapping[int, str] = field(default_factory=dict)
    state_of: Callable[[str], str] = _nothing
    last: Mapping[str, str] = field(default_factory=dict)
    differs: Collection[str] = frozenset()
    group: Callable[[str], list[str]] = _no_groups


def select(target: str | Expr, view: View) -> list[Node]:
    """The nodes of a view that a target selects, in the view's order.

    Raises TargetError where the target is malformed, asks for what is not there or selects nothing.
    """
    expr = parse(target) if isinstance(target, str) else target
    chosen = _ids(expr, view)
    nodes = [node for node in view.nodes if node.id in chosen]
    if not nodes:
        raise TargetError(_why_nothing(expr, view))
    return nodes


def _ids(expr: Expr, view: View) -> set[str]:
    """The ids that a target stands for."""
    if isinstance(expr, Pair):
        return _pair(expr, view)
    if isinstance(expr, All):
        return {node.id for node in view.nodes}
    if isinstance(expr, Name):
        return _named(expr.glob, view)
    if isinstance(expr, Numbers):
        return _numbered(expr, view)
    if isinstance(expr, Property):
        return _having(expr, view)
    if isinstance(expr, Group):
        names = set(view.group(expr.name))
        return {node.id for node in view.nodes if node.name in names}
    return _doing(expr.word, view)


def _pair(expr: Pair, view: View) -> set[str]:
    rights: list[tuple[str, set[str]]] = []
    left: Expr = expr
    while isinstance(left, Pair):
        rights.append((left.operator, _ids(left.right, view)))
        left = left.left
    chosen = set(_ids(left, view))
    for operator, ids in reversed(rights):
        if operator == ",":
            chosen |= ids
        elif operator == "&":
            chosen &= ids
        else:
            chosen -= ids
    return chosen


def _named(glob: Glob, view: View) -> set[str]:
    matches = glob.matcher()
    found = {node.id for node in view.nodes if matches(node.name)}
    name = glob.literal
    if not found and name:
        found = {node.id for node in view.nodes if name in (node.cluster, f"{node.name}~{node.id}")}
    return found


def _numbered(expr: Numbers, view: View) -> set[str]:
    found = {id for number, id in view.numbers.items() if expr.first <= number <= expr.last}
    if expr.first not in view.numbers or expr.last not in view.numbers:
        top = max(view.numbers, default=0)
        there = f"there are 1 to {top}" if top else "there are no nodes"
        raise TargetError(f"{expr}: no node has such a number; {there}")
    return found


def _having(expr: Property, view: View) -> set[str]:
    matches = expr.glob.matcher()
    if expr.key == "tags":
        return {
            node.id
            for node in view.nodes
            if any(
                matches(f"{key}:{value}") or matches(f"{key}={value}") or matches(key)
                for key, value in node.tags.items()
            )
        }
    found: set[str] = set()
    known = False
    for node in view.nodes:
        value = node.properties().get(expr.key)
        if value is not None:
            known = True
            if matches(value):
                found.add(node.id)
    if not known and view.nodes:
        keys = sorted({key for node in view.nodes[:100] for key in node.properties()} | {"tags"})
        close = get_close_matches(expr.key, keys, 1)
        hint = f"did you mean {close[0]}=?" if close else f"there are {', '.join(keys)}"
        raise TargetError(f"no node has a property {expr.key}; {hint}")
    return found


def _doing(word: str, view: View) -> set[str]:
    if word in SESSION_WORDS:
        wanted = {"waiting", "unfinished"} if word == "waiting" else {word}
        return {node.id for node in view.nodes if view.state_of(node.id) in wanted}
    if word == "last":
        return set(view.last)
    if word == "differs":
        return set(view.differs)
    return {id for id, outcome in view.last.items() if outcome == word}


def _why_nothing(expr: Expr, view: View) -> str:
    text = format(expr)
    if not view.nodes:
        return "there are no nodes"
    if isinstance(expr, Name):
        names = {node.name for node in view.nodes} | {node.cluster for node in view.nodes}
        close = get_close_matches(expr.glob.plain, sorted(names - {""}), 3)
        if close:
            return f"no node or cluster is called {text}; did you mean {' or '.join(close)}?"
        some = ", ".join(node.name for node in view.nodes[:5])
        more = ", ..." if len(view.nodes) > 5 else ""
        return f"no node or cluster is called {text}; there are {some}{more}"
    if isinstance(expr, Property):
        values = {value for node in view.nodes for value in _values(node, expr.key)}
        near = get_close_matches(expr.glob.plain, sorted(values), 3) or sorted(values)[:3]
        if near:
            return f"no node has {text}; there is {', '.join(near)}"
    return f"{text} selects no node"


def _values(node: Node, key: str) -> list[str]:
    if key == "tags":
        return [f"{name}:{value}" for name, value in node.tags.items()]
    return [value for value in [node.properties().get(key, "")] if value]
