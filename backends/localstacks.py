"""Clusters of local nodes, made from the same specs as those of a cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from dust.backend import Change
from dust.backends.local import LocalBackend
from dust.clusterspec import Spec
from dust.errors import AbsentError, BackendError
from dust.node import Node
from dust.nodeset import fold
from dust.stack import Follow, Part, Plan, Stack

_USED = {"tags"}


class LocalStacks:
    """The clusters of a local backend: its nodes by their cluster's name."""

    label = "local"

    def __init__(self, backend: LocalBackend) -> None:
        self._backend = backend

    def plan(self, spec: Spec) -> Plan:
        """What would be made; raises `BackendError` if a name is taken."""
        nodes = self._backend.nodes()
        if any(node.cluster == spec.name for node in nodes):
            raise BackendError(
                f"there is a cluster {spec.name} already: `cluster delete {spec.name}` removes it"
            )
        there = {node.name: node for node in nodes}
        if taken := [there[name] for name in spec.names if name in there]:
            of = f" of {taken[0].cluster}" if taken[0].cluster else ""
            raise BackendError(f"a local node{of} is called {taken[0].name} already")
        rows = [
            (fold(group.names), str(len(group.names)), _told(group.options.tags))
            for group in spec.groups
        ]
        unused = sorted(_unused(spec))
        remarks = [f"not used on this machine: {', '.join(unused)}"] if unused else []
        return Plan(spec, ("nodes", "count", "tags"), tuple(rows), tuple(remarks))

    def create(self, plan: Plan, follow: Follow) -> Stack:
        """Start all nodes; raises `BackendError`, with none of them left, if one does not start."""
        spec = plan.spec
        made: list[str] = []
        try:
            for group in spec.groups:
                changes = self._backend.create(group.names, spec.name, group.options.tags)
                made += [change.id for change in changes if not change.error]
                _check(changes)
        except BaseException:
            self._backend.terminate(made)
            raise
        return self._stack(spec.name, self._nodes(spec.name))

    def stacks(self) -> list[Stack]:
        """All clusters, by name."""
        nodes = self._backend.nodes()
        names = sorted({node.cluster for node in nodes} - {""})
        return [self._stack(name, [n for n in nodes if n.cluster == name]) for name in names]

    def status(self, name: str, follow: Follow) -> Stack:
        """One cluster and its nodes."""
        return self._stack(name, self._nodes(name))

    def delete(self, name: str, follow: Follow) -> Stack:
        """Remove all nodes of a cluster, and what belongs to them."""
        before = self._nodes(name)
        errors = {
            change.id: change.error
            for change in self._backend.terminate([node.id for node in before])
            if change.error
        }
        left = [node for node in before if node.id in errors]
        parts = tuple(Part(node.name, "node", node.state, errors[node.id]) for node in left)
        failed = "; ".join(errors.values())
        return Stack(name, _state(left), parts, gone=not left, failed=failed)

    def _nodes(self, name: str) -> list[Node]:
        nodes = self._backend.nodes()
        found = [node for node in nodes if node.cluster == name]
        if not found:
            close = get_close_matches(name, {node.cluster for node in nodes} - {""}, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise AbsentError(f"there is no cluster {name}{hint}")
        return found

    def _stack(self, name: str, nodes: Sequence[Node]) -> Stack:
        parts = tuple(Part(node.name, "node", node.state) for node in nodes)
        made = min(node.details["launch_time"] for node in nodes)
        return Stack(name, _state(nodes), parts, made)


def _check(changes: Sequence[Change]) -> None:
    if errors := [change.error for change in changes if change.error]:
        raise BackendError(f"nothing was made: {'; '.join(errors)}")


def _state(nodes: Sequence[Node]) -> str:
    """Such as `3 running, 1 stopped`."""
    states = [node.state for node in nodes]
    return ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))


def _told(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={text}" for key, text in tags.items())


def _unused(spec: Spec) -> set[str]:
    """The keys of a spec that mean nothing here."""
    said = {
        key for key in ("region", "vpc_id", "create_vpc", "allow_ssh_from") if getattr(spec, key)
    }
    for group in spec.groups:
        if group.instance_type:
            said.add("instance_type")
        said |= {key for key, value in vars(group.options).items() if value not in ("", None, {})}
    return said - _USED
