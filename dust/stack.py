"""What makes whole clusters from a spec, follows them and removes them whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from dust.clusterspec import Spec


@dataclass(frozen=True)
class Part:
    """One thing that a cluster is made of; `reason` says why it is in its state, where known."""

    name: str
    kind: str
    state: str
    reason: str = ""


@dataclass(frozen=True)
class Stack:
    """A cluster as its source has it now.

    `moving` is one that is still being made or removed, `gone` one that is not there any more.
    `failed` says why it is not what was asked for, "" if it is. `ours` is one that Dust made.
    """

    name: str
    state: str
    parts: tuple[Part, ...] = ()
    made: str = ""
    moving: bool = False
    gone: bool = False
    failed: str = ""
    ours: bool = True


@dataclass(frozen=True)
class Plan:
    """What would be made of a spec: a table with a row for each group of nodes, and remarks.

    `more` is what the source needs to make it.
    """

    spec: Spec
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...] = ()
    more: Any = field(default=None, repr=False)


#: Told what a cluster is while it changes; once it returns False nobody waits longer.
Follow = Callable[[Stack], bool]


class Stacks(Protocol):
    """The clusters of one source. Every method may raise `BackendError`."""

    #: Where they are, such as `local` or `ec2 us-east-1`.
    label: str

    def plan(self, spec: Spec) -> Plan:
        """Check all of a spec and say what would be made of it; makes nothing."""
        ...

    def create(self, plan: Plan, follow: Follow) -> Stack:
        """Make it, all or nothing, and wait until it is there or gone, or `follow` says no."""
        ...

    def stacks(self) -> list[Stack]:
        """All clusters, by name, without their parts."""
        ...

    def status(self, name: str, follow: Follow) -> Stack:
        """One cluster with its parts, followed as long as it moves and `follow` says so."""
        ...

    def delete(self, name: str, follow: Follow) -> Stack:
        """Remove all that `create` made, and wait until it is gone, or `follow` says no."""
        ...
