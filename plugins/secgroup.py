"""secgroup - what may reach nodes through their security groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from dust.command import Dust, Node, UsageError, command
from dust.errors import BackendError, TargetError

if TYPE_CHECKING:
    from dust.backends.ec2client import Cloud
    from dust.backends.ec2groups import Ports


@command
def secgroup(
    dust: Dust,
    show: bool = False,
    open: bool = False,
    close: bool = False,
    y: bool = False,
    ports: str = "",
    network: str = "",
    target: str = "",
) -> None:
    """Show, open or close ports in the security groups of nodes.

    Ports are 8080, 8000-8010, 53/udp, icmp or all. What is opened is opened to this machine's own
    address alone, unless a network is given: 10.0.0.0/8, or `world` for everybody.

    Usage: secgroup show [<target>]
           secgroup open [-y] <ports> [<network>] [<target>]
           secgroup close [-y] <ports> [<network>] [<target>]

    Options:
      -y  do not ask

    Examples:
      secgroup show web*
      secgroup open 8080 web*
      secgroup open 443 world cluster=webtest
      secgroup close 443 world cluster=webtest
    """
    from dust.backends.ec2 import cloud_of  # only where EC2 is used

    cloud = cloud_of(dust.backend, "security groups")
    if show:
        _show(dust, cloud, dust.select(target))
        return
    from dust.backends import ec2groups

    if network and not target and not _is_network(network):
        network, target = "", network
    try:
        wanted = ec2groups.Ports.parsed(ports)
        where = ec2groups.network(network) if network else dust.aside(ec2groups.own_address)
    except ValueError as error:
        raise UsageError(f"secgroup: {error}") from error
    nodes = dust.select(target)
    if close:
        _close(dust, cloud, nodes, wanted, where, y)
    else:
        _open(dust, cloud, nodes, wanted, where, y)


def _is_network(text: str) -> bool:
    return text == "world" or (text[0] in "0123456789" and "." in text) or ":" in text


def _groups(nodes: Sequence[Node]) -> dict[str, list[Node]]:
    """The nodes in each security group, by its id."""
    found: dict[str, list[Node]] = {}
    for node in nodes:
        for group in filter(None, node.details.get("group_ids", "").split(",")):
            found.setdefault(group, []).append(node)
    if not found:
        raise TargetError("these nodes are in no security group; `refresh` asks again")
    return found


def _show(dust: Dust, cloud: Cloud, nodes: Sequence[Node]) -> None:
    from dust.backends import ec2groups

    groups = _groups(nodes)
    names, rules = dust.aside(lambda: ec2groups.rules(cloud, list(groups)))
    rows = []
    for rule in sorted(rules, key=lambda rule: (names[rule.group], rule.group, not rule.incoming)):
        peer = f"{names[rule.peer]} {rule.peer}" if rule.peer in names else rule.peer
        side = "from" if rule.incoming else "to"
        labels = dust.cluster.labels(groups[rule.group])
        rows.append([names[rule.group], rule.group, str(rule.ports), side, peer, labels, rule.note])
    dust.table(rows, headers=["group", "id", "ports", "", "peer", "nodes", "note"])


def _covering(nodes: Sequence[Node]) -> list[str]:
    """As few groups as needed for every node to be in one of them: the first of each node's."""
    chosen: list[str] = []
    for node in nodes:
        its = [group for group in node.details.get("group_ids", "").split(",") if group]
        if its and not set(its) & set(chosen):
            chosen.append(its[0])
    return chosen


def _open(
    dust: Dust, cloud: Cloud, nodes: Sequence[Node], ports: Ports, where: str, yes: bool
) -> None:
    from dust.backends import ec2groups

    everywhere = _groups(dust.cluster.nodes())
    _groups(nodes)
    groups = _covering(nodes)
    told = ", ".join(f"{group} ({dust.cluster.labels(everywhere[group])})" for group in groups)
    world = "the whole world, " if ec2groups.is_world(where) else ""
    question = f"open {ports} to {world}{where} in {told}, {dust.backend.label}?"
    if not yes and not dust.ask(question):
        dust.error("secgroup: nothing was opened")
        return
    _each(dust, groups, lambda group: ec2groups.open_(cloud, group, ports, where))


def _close(
    dust: Dust, cloud: Cloud, nodes: Sequence[Node], ports: Ports, where: str, yes: bool
) -> None:
    from dust.backends import ec2groups

    everywhere = _groups(dust.cluster.nodes())
    _, rules = dust.aside(lambda: ec2groups.rules(cloud, list(_groups(nodes))))
    inward = [rule for rule in rules if rule.incoming]
    groups = list({r.group: r for r in inward if (r.ports, r.peer) == (ports, where)})
    if not groups:
        there = ", ".join(sorted({f"{rule.ports} to {rule.peer}" for rule in inward}))
        dust.error(f"secgroup: {ports} is not open to {where}; open is {there or 'nothing'}")
        return
    told = ", ".join(f"{group} ({dust.cluster.labels(everywhere[group])})" for group in groups)
    if not yes and not dust.ask(f"close {ports} to {where} in {told}, {dust.backend.label}?"):
        dust.error("secgroup: nothing was closed")
        return
    _each(dust, groups, lambda group: ec2groups.close(cloud, group, ports, where))


def _each(dust: Dust, groups: Sequence[str], change: Callable[[str], str]) -> None:
    """Change each group; one that cannot be changed does not keep the others."""
    for group in groups:
        try:
            dust.print(f"{group}: {dust.aside(partial(change, group))}")
        except BackendError as error:
            dust.error(f"{group}: {error}")
