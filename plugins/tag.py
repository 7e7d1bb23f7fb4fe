"""tag - words on nodes, for targets to find them by."""

from __future__ import annotations

from collections.abc import Sequence

from dust.backend import Change
from dust.command import Dust, Node, UsageError, command
from dust.plain import printable


@command
def tag(dust: Dust, target: str, tag: Sequence[str]) -> None:
    """Give nodes tags.

    A tag that they have under the same key is replaced.

    Usage: tag <target> <tag>...

    A tag is KEY=VALUE; what has a space or another odd character in it is quoted.

    Examples:
      tag worker* env=dev
      tag id=i-a6* cluster-name=webtest
      tag 1,3 'owner=data team' cost-center=4:2
    """
    tags: dict[str, str] = {}
    for each in tag:
        key, equals, value = each.partition("=")
        if not key or not equals:
            raise UsageError(f"tag: {each!r} is no KEY=VALUE")
        tags[key] = value
    nodes = dust.select(target)
    _tell(dust, nodes, _aside(dust, nodes, tags, ()), "has", [f"{k}={v}" for k, v in tags.items()])


@command
def untag(dust: Dust, target: str, tag: Sequence[str]) -> None:
    """Take tags from nodes.

    Usage: untag <target> <tag>...

    A tag is a KEY, whatever its value is, or KEY=VALUE, which is only taken where it has this one.

    Examples:
      untag worker* env
      untag * env=dev
    """
    nodes = dust.select(target)
    for each in tag:
        key, equals, value = each.partition("=")
        having = [n for n in nodes if key in n.tags and (not equals or n.tags[key] == value)]
        if not having:
            dust.error(f"no node of {target} has the tag {printable(each)}")
            continue
        _tell(dust, having, _aside(dust, having, {}, [key]), "no longer has", [each])


def _aside(
    dust: Dust, nodes: Sequence[Node], tags: dict[str, str], keys: Sequence[str]
) -> list[Change]:
    backend, ids = dust.backend, [node.id for node in nodes]

    def change() -> list[Change]:
        return backend.tag(ids, tags) if tags else backend.untag(ids, keys)

    return dust.aside(change) if backend.region else change()


def _tell(
    dust: Dust, nodes: Sequence[Node], changes: Sequence[Change], verb: str, tags: Sequence[str]
) -> None:
    errors = {change.id: change.error for change in changes if change.error}
    for node in nodes:
        if node.id in errors:
            dust.error(f"{dust.cluster.label(node)}: {errors[node.id]}")
    if done := [node for node in nodes if node.id not in errors]:
        dust.print(f"{dust.cluster.labels(done)}: {verb} {printable(', '.join(tags))}")
    dust.cluster.update()
