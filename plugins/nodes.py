"""nodes - the nodes that there are."""

from __future__ import annotations

import time
import unicodedata
from collections import Counter
from collections.abc import Sequence

from dust import hostblocks
from dust.command import Dust, command
from dust.errors import TargetError
from dust.lines import unquote
from dust.node import Node
from dust.plain import printable

_COLUMNS = ("Name", "Instance", "State", "ID", "ext_IP", "int_IP")
#: Seconds for which a listing is as good as new.
_NEW = 10
_HINTS = {
    "local": "`bin/demo N` starts N of them on this machine.",
    "ec2": "`use REGION` takes another region, `dust --profile NAME` another account.",
    "ssh": "Hosts are taken from ~/.ssh/config, or from files: `dust -F FILE`, `dust -i FILE`.",
}


@command
def show(dust: Dust, target: Sequence[str] = (), v: int = 0) -> None:
    """Show nodes: all, those of a target, or those with some words.

    All are those of the working set. Words that are no target are searched for in all properties
    and tags, in upper and lower case; nodes that have all the words are shown. The first column
    is a number that targets can use for the node; it stays the same until `refresh`.

    Usage: show [-v | -vv] [<target>...]

    Options:
      -v  also user, launch time, tags and sessions; with -vv every property, by the name that
          a target uses for it (KEY=VALUE)

    Examples:
      show worker*
      show -v state=stopped
      show -vv worker1
      show 10.0.3
    """
    nodes = _find(dust, target) if target else dust.cluster.working()
    if not nodes:
        _say_nothing(dust)
        return
    dust.print(_heading(dust))
    if v > 1:
        for node in nodes:
            _print_all(dust, node)
    else:
        _print_table(dust, nodes, bool(v))


@command
def refresh(dust: Dust) -> None:
    """Ask for the nodes again, and number them anew.

    Usage: refresh
    """
    nodes = dust.cluster.refresh()
    hostblocks.keep_current(dust.cluster)
    counts = Counter(node.state for node in nodes)
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    dust.print(f"{len(nodes)} node{'' if len(nodes) == 1 else 's'} in {dust.backend.label}")
    if states:
        dust.print(states)
    if not dust.cluster.working():
        _say_nothing(dust)


def _heading(dust: Dust) -> str:
    backend, used = dust.backend, dust.cluster.working_set
    if not backend.region:
        return f"Nodes in {backend.label}{f', cluster {used}' if used else ''}{_age(dust)}:"
    account = backend.label.removeprefix(backend.name).removesuffix(backend.region).strip()
    profile = f", profile: {account}" if account else ""
    return f"Nodes in region: {backend.region}{profile}{_age(dust)}"


def _age(dust: Dust) -> str:
    """How old a listing is that was kept on disk."""
    seconds = 0.0 if dust.cluster.made is None else time.time() - dust.cluster.made
    if seconds < _NEW:
        return ""
    minutes = int(seconds / 60)
    many = (minutes // 1440, "day"), (minutes // 60, "hour"), (minutes, "minute")
    count, unit = next((each for each in many if each[0]), (0, ""))
    ago = f"{count} {unit}{'' if count == 1 else 's'} ago" if unit else "less than a minute ago"
    return f", as of {ago} (`refresh` asks again)"


def _say_nothing(dust: Dust) -> None:
    hint = "" if dust.cluster.working_set else f" {_HINTS.get(dust.backend.name, '')}"
    dust.print(f"{dust.cluster.nothing()}.{hint}".rstrip())


def _find(dust: Dust, words: Sequence[str]) -> list[Node]:
    """The nodes of some targets or, where one of the words is none, those that have all words."""
    found: dict[str, Node] = {}
    try:
        for word in words:
            found.update((node.id, node) for node in dust.select(word))
    except TargetError as error:
        nodes = _search(dust.cluster.working(), [unquote(word).lower() for word in words])
        if not nodes:
            raise TargetError(
                f"{error}; no property or tag has it either", error.position
            ) from error
        return nodes
    return sorted(found.values(), key=dust.cluster.number)


def _search(nodes: Sequence[Node], words: Sequence[str]) -> list[Node]:
    def has_all(node: Node) -> bool:
        texts = [value.lower() for value in node.properties().values()]
        texts += [f"{key}{mid}{value}".lower() for key, value in node.tags.items() for mid in ":="]
        return all(any(word in text for text in texts) for word in words)

    return [node for node in nodes if has_all(node)]


def _print_all(dust: Dust, node: Node) -> None:
    pairs = [*node.properties().items()]
    pairs += [("tags", f"{key}:{value}") for key, value in node.tags.items()]
    if state := dust.cluster.state_of(node.id):
        why = dust.cluster.why_down(node.id)
        pairs.append(("session", f"{state}: {why}" if why else state))
    width = max(len(key) for key, _ in pairs)
    dust.print()
    dust.print(f"{dust.cluster.number(node)}  {printable(dust.cluster.label(node))}")
    for key, value in pairs:
        dust.print(f"    {printable(key):<{width}}  {printable(value)}".rstrip())


def _print_table(dust: Dust, nodes: Sequence[Node], more: bool) -> None:
    """The nodes under the names of their clusters, columns aligned over all of them."""
    sessions = more or any(dust.cluster.state_of(node.id) for node in nodes)
    headers = [*_COLUMNS, *(["Session"] if sessions else [])]
    headers += ["Username", "Launch_time", "Tags"] if more else []
    rows = [_row(dust, node, sessions, more) for node in nodes]
    widths = [max(map(_width, column)) for column in zip(headers, *rows, strict=True)]
    numbers = [str(dust.cluster.number(node)) for node in nodes]
    margin = max(4, *map(len, numbers))

    groups: dict[str, list[str]] = {}
    for node, number, row in zip(nodes, numbers, rows, strict=True):
        line = f"{number:>{margin}}  {_aligned(row, widths)}"
        groups.setdefault(node.cluster, []).append(line)
    dust.print()
    dust.print(" " * (margin + 2) + _aligned(headers, widths))
    for name in sorted(groups, key=lambda name: not name):  # those without a cluster last
        dust.print()
        if len(groups) > 1 or name:
            dust.print(printable(name) or "Unassigned:")
        for line in groups[name]:
            dust.print(line)


def _row(dust: Dust, node: Node, sessions: bool, more: bool) -> list[str]:
    row = [dust.cluster.label(node), node.type, node.state, node.id, node.ip, node.private_ip]
    if sessions:
        row.append(dust.cluster.state_of(node.id))
    if more:
        properties = node.properties()
        row += [properties.get("username", ""), properties.get("launch_time", "")]
        row.append(" ".join(f"{key}:{value}" for key, value in node.tags.items()))
    return [printable(cell) for cell in row]


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True)
    )
    return "  ".join(padded).rstrip()


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(bool(unicodedata.combining(char)) for char in text)
