"""What an inventory says of hosts, groups and their variables, and how they add up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

from dust.backends.hostnames import Address, address, expand, refusal
from dust.errors import ConfigError, TargetError
from dust.near import near
from dust.nodeset import MOST

#: Groups that every inventory of Ansible's has by itself.
IMPLICIT = ("all", "ungrouped")


class Value(NamedTuple):
    """The value of a variable as it is written, and the line it stands in."""

    text: str
    line: int


class Host(NamedTuple):
    """One host with all groups it is in, its own first, and all variables that hold for it."""

    name: str
    groups: tuple[str, ...]
    variables: Mapping[str, Value]


class _Entry:
    def __init__(self) -> None:
        self.groups: dict[str, None] = {}
        self.variables: dict[str, Value] = {}


class Inventory:
    """Hosts, groups and variables as they are read, line by line, from the file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, _Entry] = {}
        self._groups = dict.fromkeys(IMPLICIT)
        self._parents: dict[str, dict[str, None]] = defaultdict(dict)
        self._variables: dict[str, dict[str, Value]] = defaultdict(dict)

    def error(self, message: str, line: int | None = None) -> ConfigError:
        """The error that something in the file is wrong."""
        return ConfigError(message, self._path, line)

    def addresses(self, pattern: str, line: int) -> list[Address]:
        """The hosts that `n[1-3]` or `user@host:port` stands for."""
        try:
            found = [address(each) for each in expand(pattern)]
        except TargetError as error:
            raise self.error(str(error), line) from None
        for each in found:
            if why := refusal(each.host):
                raise self.error(why, line)
        return found

    def add(self, pattern: str, line: int, group: str, variables: Mapping[str, Value]) -> None:
        """Add the hosts of a pattern, to a group if it is not ""; what is said later wins."""
        for each in self.addresses(pattern, line):
            self._add(each.host, each, line, group).update(variables)

    def add_addresses(self, found: Mapping[Address, int]) -> None:
        """Add hosts with the lines they stand in.

        Where several differ by user or port only, each is called as it is written.
        """
        shared = Counter(each.host for each in found)
        for each, line in found.items():
            name = each.host if shared[each.host] == 1 else str(each)
            variables = self._add(name, each, line, "")
            if name != each.host:
                variables["ansible_host"] = Value(each.host, line)

    def _add(self, name: str, where: Address, line: int, group: str) -> dict[str, Value]:
        """Add one host; returns its own variables."""
        entry = self._entries.setdefault(name, _Entry())
        if len(self._entries) > MOST:
            raise self.error(f"more than {MOST:,} hosts", line)
        if group:
            entry.groups[group] = None
        for key, text in ("ansible_user", where.user), ("ansible_port", where.port):
            if text:
                entry.variables[key] = Value(text, line)
        return entry.variables

    def add_group(self, name: str) -> None:
        """Say that there is such a group."""
        self._groups[name] = None

    def add_child(self, parent: str, name: str) -> None:
        """Put a group below another one."""
        self._parents[name][parent] = None

    def set(self, group: str, variables: Mapping[str, Value]) -> None:
        """Give variables to a group; what is said later wins."""
        self._variables[group].update(variables)

    def check_group(self, name: str, line: int) -> None:
        """Raise `ConfigError` unless there is such a group."""
        if name not in self._groups:
            close = near(name, self._groups)
            hint = f"did you mean {close[0]}?" if close else f"a line [{name}] would make it"
            raise self.error(f"there is no group {ascii(name)}; {hint}", line)

    def hosts(self) -> list[Host]:
        """All hosts, in the order of the file.

        As with Ansible a group's variables beat those of the groups above it, the last by name
        wins among groups of one depth, and those of the host itself beat all.
        """
        depths = self._depths()
        known: dict[tuple[str, ...], tuple[tuple[str, ...], dict[str, Value]]] = {}
        found = []
        for name, entry in self._entries.items():
            own = tuple(entry.groups)
            if own not in known:
                groups = self._with_parents(own)
                variables: dict[str, Value] = {}
                for group in sorted({"all", *groups}, key=lambda each: (depths[each], each)):
                    variables.update(self._variables.get(group, {}))
                known[own] = tuple(each for each in groups if each not in IMPLICIT), variables
            groups, variables = known[own]
            found.append(Host(name, groups, {**variables, **entry.variables}))
        return found

    def _with_parents(self, groups: Iterable[str]) -> tuple[str, ...]:
        """These groups and all above them, the nearest first."""
        found = dict.fromkeys(groups)
        waiting = list(found)
        for group in waiting:  # which grows meanwhile
            new = [parent for parent in self._parents.get(group, ()) if parent not in found]
            found.update(dict.fromkeys(new))
            waiting += new
        return tuple(found)

    def _depths(self) -> dict[str, int]:
        """How far each group is below `all`; raises `ConfigError` for a loop."""
        depths: dict[str, int] = {}
        above = {name: self._parents.get(name, {}) for name in self._groups}
        try:
            for name in TopologicalSorter(above).static_order():
                nearest = (depths[parent] for parent in above[name])
                depths[name] = 0 if name == "all" else 1 + max(nearest, default=0)
        except CycleError as error:
            loop = " in ".join(error.args[1])
            raise self.error(f"a group is in itself: {loop}") from None
        return depths
