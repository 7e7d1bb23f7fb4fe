"""Ansible's inventories in YAML."""

from __future__ import annotations

from typing import NamedTuple

import yaml

from dust.backends.inventory import Inventory, Value
from dust.near import near

_SECTIONS = ("hosts", "vars", "children")
#: Levels of mappings and lists inside one another, at the most: libyaml has no limit but its stack.
_DEEPEST = 100
_TAG = "tag:yaml.org,2002:"
# libyaml reads ten times as fast where PyYAML has it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Pair(NamedTuple):
    key: str
    value: yaml.Node
    line: int


def read_yaml(text: str, inventory: Inventory) -> None:
    """Read an Ansible inventory in YAML."""
    try:
        _check_depth(text, inventory)
        root = yaml.compose(text, Loader=_LOADER)
        if root is not None:
            _Reader(inventory).groups(root)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or " ".join(str(error).split())
        raise inventory.error(f"this is not YAML: {what}", mark and mark.line + 1) from None
    except RecursionError:
        raise inventory.error("a mapping merges itself (<<)") from None


def _check_depth(text: str, inventory: Inventory) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                message = f"more than {_DEEPEST} levels are inside one another"
                mark = event.start_mark
                raise inventory.error(message, mark.line + 1 if mark else None)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Reader:
    """Takes up what the nodes of a document say; these know their lines."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._known: dict[int, list[_Pair]] = {}
        self._seen: set[tuple[str, int]] = set()

    def groups(self, node: yaml.Node, parent: str = "") -> None:
        """Take up groups, those below `parent` if it is given."""
        for pair in self._pairs(node, "groups"):
            self._inventory.add_group(pair.key)
            if parent:
                self._inventory.add_child(parent, pair.key)
            # An alias may bring the same group again, even inside itself.
            if (pair.key, id(pair.value)) not in self._seen:
                self._seen.add((pair.key, id(pair.value)))
                self._group(pair)

    def _group(self, group: _Pair) -> None:
        for section in self._pairs(group.value, f"the group {group.key}"):
            if section.key == "hosts":
                for host in self._pairs(section.value, f"the hosts of {group.key}"):
                    variables = self._variables(host.value, f"the variables of {host.key}")
                    self._inventory.add(host.key, host.line, group.key, variables)
            elif section.key == "vars":
                found = self._variables(section.value, f"the variables of {group.key}")
                self._inventory.set(group.key, found)
            elif section.key == "children":
                self.groups(section.value, group.key)
            else:
                close = near(section.key, _SECTIONS)
                hint = f"did you mean {close[0]}?" if close else "it has hosts, vars and children"
                message = f"the group {group.key} has no {ascii(section.key)}; {hint}"
                raise self._inventory.error(message, section.line)

    def _variables(self, node: yaml.Node, what: str) -> dict[str, Value]:
        """The scalars of a mapping as they are written; what is null or encrypted is left out."""
        return {
            pair.key: Value(pair.value.value, pair.line)
            for pair in self._pairs(node, what)
            if isinstance(pair.value, yaml.ScalarNode)
            and pair.value.tag.startswith(_TAG)
            and pair.value.tag != _TAG + "null"
        }

    def _pairs(self, node: yaml.Node, what: str) -> list[_Pair]:
        """Keys and values of a mapping, null being an empty one, with what it merges (`<<`)."""
        if id(node) not in self._known:
            self._known[id(node)] = list(self._read_pairs(node, what).values())
        return self._known[id(node)]

    def _read_pairs(self, node: yaml.Node, what: str) -> dict[str, _Pair]:
        line = node.start_mark.line + 1
        if node.tag == _TAG + "null":
            return {}
        if not isinstance(node, yaml.MappingNode):
            given = "a list" if isinstance(node, yaml.SequenceNode) else ascii(node.value)
            raise self._inventory.error(f"{what}: a mapping belongs here, not {given}", line)
        merged: dict[str, _Pair] = {}
        found: dict[str, _Pair] = {}
        for key, value in node.value:
            at = key.start_mark.line + 1
            if key.tag == _TAG + "merge":
                several = isinstance(value, yaml.SequenceNode)
                for each in reversed(value.value) if several else [value]:
                    merged.update({pair.key: pair for pair in self._pairs(each, what)})
            elif isinstance(key, yaml.ScalarNode):
                found[key.value] = _Pair(key.value, value, at)
            else:
                raise self._inventory.error(f"{what}: a name belongs here", at)
        return {**merged, **found}
