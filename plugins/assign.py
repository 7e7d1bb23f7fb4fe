"""assign - clusters made of nodes that there are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence

from dust import clusterfile
from dust.assigned import selected
from dust.clusterfile import ClusterFile
from dust.command import Dust, Node, UsageError, command
from dust.errors import Interrupted
from dust.nodeset import expand
from dust.plain import printable

_FREE, _KEPT = "as ssh has it", "as they are"


@command
def assign(
    dust: Dust,
    filter: str = "",
    name: str = "",
    user: str | None = None,
    key: str | None = None,
    names: str | None = None,
    last: bool = False,
    remove: bool = False,
) -> None:
    """Make a cluster of the nodes that a filter selects.

    What is not given is asked for. It is written to clusters/NAME.yaml in Dust's folder, where
    names of nodes, login user and key can be edited; `refresh` reads it again. A node that the
    filters of several clusters select is in the one that was assigned last.

    Usage: assign [options] [<filter>] [<name>]
           assign --remove <name>

    Options:
      --user USER    the login user of these nodes
      --key FILE     the private key for them
      --names NAMES  what to call them: `web` is web0, web1, ...; `web[1-3]` says which numbers
      --last         leave nodes to the clusters that select them already
      --remove       forget a cluster; its nodes stay as they are

    Examples:
      assign tags=*cloudformation*stack-name:slurm1 slurm1
      assign tags=cluster-name:webtest webtest --user ubuntu --names web[1-2]
      assign --remove webtest
    """
    if remove:
        _remove(dust, name)
        return
    filter = filter or _asked(dust, "Which nodes (a target)", "assign which nodes?")
    nodes = dust.select(filter)
    what = f"Name of the cluster of {len(nodes)} node{'' if len(nodes) == 1 else 's'}"
    name = name or _asked(dust, what, "assign them to which name?")
    _checked(lambda: clusterfile.check_name(name))
    if user is None:
        user = _asked(dust, "Login user", otherwise=_FREE)
    login = _checked(lambda: clusterfile.check_login(_said(user)))
    if key is None:
        key = _asked(dust, "Private key", otherwise=_FREE)
    if names is None:
        names = _asked(dust, "Names of the nodes", otherwise=_names_now(nodes))
    file = ClusterFile(
        name,
        _lasting(dust, filter, nodes),
        username=login,
        key=_key(_said(key)),
        precedence=dust.cluster.files.precedence(last),
        backend=dust.backend.name,
        region=dust.backend.region,
        names=_named(nodes, names),
    )
    if file.path.exists() and not dust.ask(f"There is a cluster {name} already. Replace it?"):
        dust.error("assign: nothing was done")
        return
    clusterfile.write(file)
    dust.cluster.assign()
    ids = {node.id for node in nodes}
    now = [node for node in dust.cluster.nodes() if node.id in ids and node.cluster == name]
    dust.print(f"{name}: {len(now)} node{'' if len(now) == 1 else 's'}, {dust.cluster.labels(now)}")
    if len(now) < len(nodes):
        dust.print(f"{len(nodes) - len(now)} of these stay with another cluster")
    dust.print(f"{file.path} says so; edit it and `refresh`")


def _remove(dust: Dust, name: str) -> None:
    _checked(lambda: clusterfile.check_name(name))
    path = ClusterFile(name, "").path
    if not path.exists():
        raise UsageError(f"assign: no cluster {name} was assigned ({path} is not there)")
    if not dust.ask(f"Forget the cluster {name}? Its nodes stay as they are."):
        dust.error("assign: nothing was done")
        return
    path.unlink()
    dust.cluster.assign()
    if dust.cluster.working_set == name and name not in dust.cluster.clusters():
        dust.cluster.use("*")


def _asked(dust: Dust, question: str, missing: str = "", otherwise: str = "") -> str:
    answer = dust.ask_line(question, otherwise)
    if answer is None:
        raise Interrupted
    if not answer:
        raise UsageError(f"{missing} `help assign` has examples")
    return answer


def _said(text: str) -> str:
    return "" if text == _FREE else text


def _checked(check: Callable[[], str]) -> str:
    try:
        return check()
    except ValueError as error:
        raise UsageError(f"assign: {error}") from error


def _key(path: str) -> str:
    if path and not os.path.isfile(os.path.expanduser(path)):
        raise UsageError(f"assign: there is no key {path}")
    absolute = os.path.abspath(os.path.expanduser(path)) if path else ""
    return _checked(lambda: clusterfile.check_key(absolute))


def _lasting(dust: Dust, filter: str, nodes: Sequence[Node]) -> str:
    """The filter, if it selects the same by what the source says; else the ids of the nodes.

    Numbers, states of sessions, and clusters and names that were themselves assigned do not last.
    """
    ids = [node.id for node in nodes]
    if {node.id for node in selected(filter, dust.cluster.unassigned())} == set(ids):
        return filter
    return ",".join(f"id={id}" for id in ids)


def _names_now(nodes: Sequence[Node]) -> str:
    """The names of the nodes, if they tell them apart; else new ones."""
    counts = Counter(node.name for node in nodes)
    named = all(node.name != node.id or node.of_file for node in nodes)
    usable = named and max(counts.values()) == 1
    return _KEPT if usable else _numbered(len(nodes))


def _numbered(count: int, base: str = "node") -> str:
    return f"{base}[0-{count - 1}]" if count > 1 else f"{base}0"


def _named(nodes: Sequence[Node], names: str) -> dict[str, str]:
    """New names by id, in the order of the nodes; none if they keep theirs."""
    if names == _KEPT:
        return {}
    found = expand(names)
    if len(found) == 1 and len(nodes) > 1 and not names[-1].isdigit():
        found = expand(_numbered(len(nodes), names))
    if len(found) != len(nodes):
        raise UsageError(
            f"assign: {printable(names)} are {len(found)} names for {len(nodes)} nodes"
        )
    if odd := [name for name in found if not name.strip() or not name.isprintable()]:
        raise UsageError(f"assign: {odd[0]!r} cannot be a node's name")
    return {node.id: name for node, name in zip(nodes, found, strict=True)}
