"""The files of clusters: which nodes belong to one, what they are called, how to log in.

    filter: tags=cluster-name:webtest
    username: ubuntu
    key: ~/.ssh/mine.pem
    precedence: 1
    backend: ec2
    region: us-east-1
    nodes:
      i-a65f5f3c: web1
      i-a55f5f3f: web2

Only `filter` must be there. A node belongs to the first cluster whose filter selects it, the one of
the highest precedence first. Without a backend or region the file is about any.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from dust import config
from dust.errors import ConfigError, TargetError
from dust.near import near

if TYPE_CHECKING:
    import yaml

_NAME = r"(?a)[A-Za-z0-9_][\w.-]{0,99}"
_LOGIN = r"(?a)(?!-)[\w.@+\\-]*[\w.@+-]"
# What ssh's configuration cannot take in quotes.
_UNFIT = r'["\\\x00-\x1f\x7f]|\$\{'
_DEEPEST, _LARGEST = 3, 4 << 20


class ClusterFile(NamedTuple):
    """One cluster. `names` are those of nodes by their ids; "" stands for what is not said."""

    name: str
    filter: str
    username: str = ""
    key: str = ""
    precedence: int = 0
    backend: str = ""
    region: str = ""
    names: Mapping[str, str] = MappingProxyType({})

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return folder() / f"{self.name}.yaml"


def folder() -> Path:
    """Where the files are; it need not exist."""
    return config.home() / "clusters"


def check_name(name: str) -> str:
    """A cluster's name as it is; raises `ValueError` for what cannot be one."""
    if not re.fullmatch(_NAME, name):
        raise ValueError(
            f"{name!r} cannot be a cluster's name: letters, digits, '_', '-' and '.', "
            "a letter, digit or '_' first, at most 100"
        )
    return name


def check_login(user: str) -> str:
    """A login user as it is; raises `ValueError` for what ssh would not take for one."""
    if user and not re.fullmatch(_LOGIN, user):
        raise ValueError(f"{user!r} cannot be the name of a login user")
    return user


def check_key(key: str) -> str:
    """The path of a key as it is; raises `ValueError` for what ssh cannot take."""
    if re.search(_UNFIT, key):
        raise ValueError(f"ssh cannot take a key of this name: {key!r}")
    return key


def write(file: ClusterFile) -> None:
    """Write a file, whole; raises `ConfigError`."""
    import yaml  # 20 ms that a start without clusters does not pay

    said: dict[str, Any] = {"filter": file.filter}
    said |= {key: getattr(file, key) for key in ("username", "key") if getattr(file, key)}
    said["precedence"] = file.precedence
    said |= {key: getattr(file, key) for key in ("backend", "region") if getattr(file, key)}
    if file.names:
        said["nodes"] = dict(file.names)
    text = yaml.safe_dump(said, allow_unicode=True, sort_keys=False, width=1000)
    config.write_whole(file.path, text)


def paths() -> list[Path]:
    """The files that there are."""
    try:
        return sorted(folder().glob("*.yaml"))
    except OSError:  # a folder that cannot be listed has no clusters to offer
        return []


def read(path: Path) -> ClusterFile:
    """Read a file. Raises `ConfigError` with the line of what is wrong."""
    return parse(_text(path), path)


def _text(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise ConfigError(f"a cluster's file has at most {_LARGEST:,} bytes", path)
        return data.decode()
    except OSError as error:
        raise ConfigError(f"cannot read the file: {error.strerror or error}", path) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError("this is not UTF-8 text", path, line) from error


def parse(text: str, path: Path) -> ClusterFile:
    """Check the text of a file. Raises `ConfigError` with the line of what is wrong."""
    import yaml

    try:
        check_name(path.stem)
    except ValueError as error:
        raise ConfigError(str(error), path) from error
    try:
        _check_shape(text, path)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "this is not YAML"
        raise ConfigError(problem, path, mark.line + 1 if mark else None) from error
    except yaml.YAMLError as error:
        raise ConfigError("this is not YAML text", path) from error
    values: dict[str, Any] = {}
    for key, value, line in _pairs(root, path):
        if key not in _KEYS:
            close = near(key, _KEYS)
            hint = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(_KEYS)}"
            raise ConfigError(f"no key {key!r}{hint}", path, line)
        try:
            if key == "nodes":
                names = {id: _named(_plain(v, path)) for id, v, line in _pairs(value, path)}
                values["names"] = names
            else:
                values[key] = _KEYS[key](_plain(value, path))
        except TargetError as error:
            raise ConfigError(f"{key}: {error}", path, line) from error
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(f"{key}: {error}", path, line) from error
    if "filter" not in values:
        raise ConfigError("there is no filter, which says what nodes belong to it", path)
    return ClusterFile(path.stem, **values)


def _filter(text: str) -> str:
    from dust.expr import parse as parse_target  # few have such a file

    parse_target(text)
    return text


def _named(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError(f"{text!r} cannot be a node's name")
    return text


def _whole(text: str) -> int:
    if re.fullmatch(r"[+-]?[0-9]{1,9}", text):
        return int(text)
    raise ValueError(f"{text!r} is not a whole number")


_KEYS: Mapping[str, Callable[[str], Any]] = {
    "filter": _filter,
    "username": check_login,
    "key": check_key,
    "precedence": _whole,
    "backend": str,
    "region": str,
    "nodes": str,
}


def _check_shape(text: str, path: Path) -> None:
    """Refuse what could make a short file a large document."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(f"*{event.anchor}: a cluster's file has no aliases", path, line)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise ConfigError("one plain value belongs here", path, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _pairs(node: yaml.Node | None, path: Path) -> Iterator[tuple[str, yaml.Node, int]]:
    """The keys and values of a mapping, with the lines of the keys."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1 if node else 1
        raise ConfigError("a mapping (`key: value`) belongs here", path, line)
    seen: set[str] = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        text = _plain(key, path)
        if text in seen:
            raise ConfigError(f"{text} is here a second time", path, line)
        seen.add(text)
        yield text, value, line


def _plain(node: yaml.Node, path: Path) -> str:
    import yaml

    if not isinstance(node, yaml.ScalarNode):
        raise ConfigError("one plain value belongs here", path, node.start_mark.line + 1)
    return "" if node.tag == "tag:yaml.org,2002:null" else str(node.value)
