"""A cluster's spec read from a file in YAML, and checked with the lines of its keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import yaml

from dust.clusterspec import Group, Options, Spec
from dust.errors import ConfigError

#: Nodes of one cluster, at most: what one template has room for.
MOST_NODES = 100
#: Bytes of user data, at most: the limit of EC2.
MOST_USER_DATA = 16384
_DEEPEST = 10
_ON, _OFF = ("yes", "on", "true"), ("no", "off", "false")


def read(path: Path) -> Spec:
    """Read and check a spec file. Raises `ConfigError` with the line of what is wrong."""
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise ConfigError(f"cannot read the file: {error.strerror or error}", path) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError("this is not UTF-8 text", path, line) from error
    return parse(text, path)


def parse(text: str, path: Path) -> Spec:
    """Check the text of a spec file. Raises `ConfigError` with the line of what is wrong."""
    try:
        _check_shape(text, path)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "this is not YAML"
        if r"'\t'" in problem:
            problem = "a tab cannot indent YAML: use spaces"
        raise ConfigError(problem, path, mark.line + 1 if mark else None) from error
    except yaml.YAMLError as error:
        raise ConfigError("this is not YAML text", path) from error
    if root is None:
        raise ConfigError("the spec is empty; it has cloud, cluster and nodes", path)
    return _Reader(path).spec(root)


def _check_shape(text: str, path: Path) -> None:
    """Refuse what could make a short file a large document."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(f"*{event.anchor}: a spec has no aliases", path, line)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise ConfigError(f"more than {_DEEPEST} levels are inside one another", path, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


# Values: each is parsed from text; what is wrong is a `ValueError`.


def _matching(pattern: str, what: str, text: str) -> str:
    if re.fullmatch(pattern, text, re.ASCII):
        return text
    raise ValueError(f"{text!r} is not {what}")


def _switch(text: str) -> bool:
    if text.lower() in _ON + _OFF:
        return text.lower() in _ON
    raise ValueError(f"{text!r} is neither yes nor no")


def _number(most: int, text: str) -> int:
    if re.fullmatch("[0-9]{1,9}", text) and 1 <= int(text) <= most:
        return int(text)
    raise ValueError(f"{text!r} is not a whole number from 1 to {most}")


def _price(text: str) -> str:
    _matching(r"[0-9]{1,6}(\.[0-9]{1,6})?", "a price in dollars an hour, such as 0.05", text)
    if not float(text):
        raise ValueError("a price is more than 0")
    return text


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError(f"{text!r} is not a network, such as 192.0.2.7/32") from None


def _provider(text: str) -> str:
    if text in ("ec2", "local"):
        return text
    raise ValueError(f"{text!r} is neither ec2 nor local")


def _user_data(text: str) -> str:
    if len(text.encode()) > MOST_USER_DATA:
        raise ValueError(f"this has more than {MOST_USER_DATA} bytes")
    return text


_Parse = Callable[[str], Any]
_NAME = partial(
    _matching,
    "[A-Za-z0-9][A-Za-z0-9-]{0,49}",
    "a name: letters, digits and '-', no '-' first, at most 50",
)
_CLOUD: dict[str, _Parse] = {
    "provider": _provider,
    "region": partial(_matching, "closest|[a-z]{2,4}(-[a-z]+)+-[0-9]", "a region or `closest`"),
}
_OPTIONS: dict[str, _Parse] = {
    "spot": _switch,
    "max_price": _price,
    "image": partial(_matching, r"[A-Za-z0-9][\w./*: -]{0,127}", "the name or id of an image"),
    "username": partial(_matching, "[a-z_][a-z0-9_-]{0,31}", "a login name"),
    "key": partial(_matching, r"[\w.@+][\w.@+ -]{0,254}", "the name of a key pair"),
    "volume": partial(_number, 16384),
    "user_data": _user_data,
    "tags": str,
    "subnet_id": partial(_matching, "subnet-[0-9a-f]{8,17}", "the id of a subnet"),
    "use_placement_group": _switch,
}
_CLUSTER: dict[str, _Parse] = {
    "name": partial(
        _matching,
        "[A-Za-z][A-Za-z0-9-]{0,49}",
        "a cluster's name: letters, digits and '-', a letter first, at most 50",
    ),
    "vpc_id": partial(_matching, "vpc-[0-9a-f]{8,17}", "the id of a VPC"),
    "create_vpc": _switch,
    "allow_ssh_from": _network,
    **_OPTIONS,
}
_NODES: dict[str, _Parse] = {
    "nodename": _NAME,
    "instance_type": partial(
        _matching, r"[a-z0-9-]+\.[a-z0-9-]+", "an instance type, such as c7i.large"
    ),
    "count": partial(_number, MOST_NODES),
    **_OPTIONS,
}
_SECTIONS = ("cloud", "cluster", "nodes")


@dataclass(frozen=True)
class _Section:
    """The values of one mapping, and the line of the mapping and of each key."""

    line: int
    values: dict[str, Any]
    lines: dict[str, int]

    def options(self) -> Options:
        return Options(**{key: self.values[key] for key in _OPTIONS if key in self.values})


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path

    def spec(self, root: yaml.Node) -> Spec:
        parts = {key: value for key, value, _ in self._pairs(root, "a spec", _SECTIONS)}
        first = root.start_mark.line + 1
        if missing := [name for name in _SECTIONS if name not in parts]:
            raise self._error(f"the spec has no {missing[0]}", first)
        cloud = self._section(parts["cloud"], "cloud", _CLOUD)
        cluster = self._section(parts["cluster"], "cluster", _CLUSTER)
        self._require(cluster, "name", "the cluster")
        values = cluster.values
        if values.get("create_vpc") and "vpc_id" in values:
            raise self._error("create_vpc: vpc_id names one already", cluster.lines["create_vpc"])
        provider = cloud.values.get("provider", "ec2")
        groups = self._groups(parts["nodes"], cluster, provider)
        return Spec(
            name=values["name"],
            provider=provider,
            region=cloud.values.get("region", ""),
            groups=tuple(groups),
            vpc_id=values.get("vpc_id", ""),
            create_vpc=values.get("create_vpc", False),
            allow_ssh_from=values.get("allow_ssh_from", ""),
        )

    def _groups(self, node: yaml.Node, cluster: _Section, provider: str) -> Iterator[Group]:
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            line = node.start_mark.line + 1
            raise self._error("nodes: a list of groups of nodes belongs here", line)
        taken: set[str] = set()
        spot = False
        self._check(cluster, cluster, cluster.options())
        for each in node.value:
            section = self._section(each, "a group of nodes", _NODES)
            self._require(section, "nodename", "a group of nodes")
            if provider == "ec2":
                self._require(section, "instance_type", "a group of nodes")
            options = section.options().over(cluster.options())
            self._check(section, cluster, options)
            name, count = section.values["nodename"], section.values.get("count")
            names = [f"{name}{i}" for i in range(1, count + 1)] if count else [name]
            if twice := taken.intersection(names):
                message = f"two nodes are called {min(twice)}"
                raise self._error(message, section.lines["nodename"])
            taken.update(names)
            if len(taken) > MOST_NODES:
                message = f"a cluster has {MOST_NODES} nodes at most, not {len(taken)}"
                raise self._error(message, section.lines.get("count", section.line))
            spot |= bool(options.spot)
            yield Group(tuple(names), section.values.get("instance_type", ""), options)
        self._check_price(cluster, spot)

    def _check(self, section: _Section, cluster: _Section, options: Options) -> None:
        """Check what keys have to do with one another."""
        if "subnet_id" in section.values and "vpc_id" not in cluster.values:
            message = "subnet_id: the cluster's vpc_id has to say which VPC it is in"
            raise self._error(message, section.lines["subnet_id"])
        if section is not cluster:
            self._check_price(section, bool(options.spot))

    def _check_price(self, section: _Section, spot: bool) -> None:
        if "max_price" in section.values and not spot:
            message = "max_price: only spot nodes have one (spot: yes)"
            raise self._error(message, section.lines["max_price"])

    def _section(self, node: yaml.Node, what: str, keys: Mapping[str, _Parse]) -> _Section:
        section = _Section(node.start_mark.line + 1, {}, {})
        for key, value, line in self._pairs(node, what, tuple(keys)):
            try:
                if key == "tags":
                    section.values[key] = self._tags(value)
                else:
                    section.values[key] = keys[key](self._text(value, line, key))
            except ValueError as error:
                if isinstance(error, ConfigError):
                    raise
                raise self._error(f"{key}: {error}", line) from error
            section.lines[key] = line
        return section

    def _tags(self, node: yaml.Node) -> dict[str, str]:
        tags: dict[str, str] = {}
        for key, value, line in self._pairs(node, "tags"):
            text = self._text(value, line, key)
            if key == "Name" or key.lower().startswith(("aws:", "dust:")):
                raise self._error(f"tags: {key} is not yours to set", line)
            if not 1 <= len(key) <= 128 or len(text) > 256:
                message = "tags: a key has 1 to 128 characters, a value 256 at most"
                raise self._error(message, line)
            tags[key] = text
        return tags

    def _text(self, node: yaml.Node, line: int, key: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(f"{key}: one plain value belongs here", line)
        if node.tag == "tag:yaml.org,2002:null":
            raise self._error(f"{key}: the value is missing", line)
        return str(node.value)

    def _pairs(
        self, node: yaml.Node, what: str, known: tuple[str, ...] = ()
    ) -> Iterator[tuple[str, yaml.Node, int]]:
        """The keys and values of a mapping with their lines; keys are `known`, if given."""
        if not isinstance(node, yaml.MappingNode):
            line = node.start_mark.line + 1
            raise self._error(f"{what}: a mapping (`key: value`) belongs here", line)
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(f"{what}: a key is one word", line)
            if known and key.value not in known:
                close = get_close_matches(key.value, known, 1)
                hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
                raise self._error(f"{what} has no key {ascii(key.value)}; {hint}", line)
            if key.value in seen:
                first = f"it is in line {seen[key.value]} already"
                raise self._error(f"{ascii(key.value)} is here a second time: {first}", line)
            seen[key.value] = line
            yield key.value, value, line

    def _require(self, section: _Section, key: str, what: str) -> None:
        if key not in section.values:
            raise self._error(f"{what} needs {key}", section.line)

    def _error(self, message: str, line: int) -> ConfigError:
        return ConfigError(message, self._path, line)
